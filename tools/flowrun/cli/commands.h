// Commands whose work tools/app does: here they print. Each returns the exit status (tools/app/exit.h). PipelineError and
// RunError are caught in main().
#pragma once

namespace flowrun::app {
struct AdviseArgs;
struct DrawArgs;
struct EmbedArgs;
struct HubArgs;
struct InitArgs;
struct LookArgs;
struct MaskReportArgs;
struct PlanArgs;
struct ProfileArgs;
struct ReplayArgs;
struct RunArgs;
struct SweepArgs;
struct VerifyArgs;
}  // namespace flowrun::app

namespace flowrun::cli {

struct ImportArgs;

/// Writes a pipeline for a folder of pictures.
int init(const app::InitArgs& args);
int run(const app::RunArgs& args);
/// Runs the variants of a sweep file one after the other, or side by side where they share their input.
int sweep(const app::SweepArgs& args);
int draw(const app::DrawArgs& args);
/// Writes a pipeline that does what a configuration of another project says.
int import_configuration(const ImportArgs& args);
/// Statistics of the masks that a node of the pipeline draws, and a picture of them; reads no image.
int mask_report(const app::MaskReportArgs& args);
/// Plans a run on many machines; runs nothing.
int plan(const app::PlanArgs& args);
/// Measures where a pipeline's time goes, or that of its host side alone (source, sample and batch nodes).
int profile(const app::ProfileArgs& args);
/// Forecasts a pipeline's speed on other machines.
int advise(const app::AdviseArgs& args);
/// Writes the encoder of a file of weights in any known layout, a checkpoint or a run directory for timm.
int export_weights(const app::HubArgs& args);
/// Writes features of pictures from a trained encoder.
int embed(const app::EmbedArgs& args);
/// Writes a page that shows features of pictures.
int look(const app::LookArgs& args);
/// Shows a sample of a run, node by node, and the ledger of its step.
int replay(const app::ReplayArgs& args);
/// Repeats ledgers of a run, and compares them with its metrics.
int verify(const app::VerifyArgs& args);

}  // namespace flowrun::cli
