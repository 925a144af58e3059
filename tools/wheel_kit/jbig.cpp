// In place of JBIG-KIT, whose licence (GPL) a wheel under another licence can't hold: libtiff needs these functions to be there.
// TIFF files compressed with JBIG, which fax machines wrote, get an error.
extern "C" {

struct jbg_dec_state;
struct jbg_enc_state;

void jbg_dec_init(jbg_dec_state*) {}
int jbg_dec_in(jbg_dec_state*, unsigned char*, unsigned long, unsigned long*) { return 16; }  // an error of its own kind
unsigned char* jbg_dec_getimage(const jbg_dec_state*, int) { return nullptr; }
unsigned long jbg_dec_getsize(const jbg_dec_state*) { return 0; }
void jbg_dec_free(jbg_dec_state*) {}
int jbg_newlen(unsigned char*, unsigned long) { return 0; }
const char* jbg_strerror(int) { return "JBIG is not in this build"; }
void jbg_enc_init(jbg_enc_state*, unsigned long, unsigned long, int, unsigned char**, void (*)(unsigned char*, unsigned long, void*), void*) {}
void jbg_enc_out(jbg_enc_state*) {}
void jbg_enc_free(jbg_enc_state*) {}
}
