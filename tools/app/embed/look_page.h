// The page of `flowrun look`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/codec/image.h"
#include "nodes/lib/tensor/report/feature_maps.h"

namespace flowrun::app {

/// A picture that stands on the page as a neighbour.
struct LookNeighbour {
  std::string key, label;  // label: of its class; empty: none
  bool same_class = false;
  double cosine = 0;
  io::PixelBuffer thumbnail;
};

struct LookPicture {
  std::string key, label;
  io::PixelBuffer view;             // as the encoder saw it
  std::vector<Colour> colours_N;    // of its patches, row by row
  std::vector<float> attention_HN;  // of the class token to the patches in each head; empty: there is none
  std::vector<LookNeighbour> near;
};

struct LookPage {
  std::string title;         // the encoder's file
  std::string said;          // what it is, and how it sees pictures
  std::string data;          // where the pictures lie
  std::string vector;        // how neighbours are compared: "the class token" or "the mean of the patches"
  std::string no_attention;  // why there is none; empty: there is
  int64_t all = 0;           // pictures of the data that can be decoded
  int64_t bad = 0;           // others
  int64_t grid = 0, width = 0, heads = 0, depth = 0;
  bool classes = false;  // pictures have labels
  ColourBasis basis;
  CosineCodes codes;  // of all patches of all pictures
  std::vector<LookPicture> pictures;
};

/// HTML that loads nothing.
std::string look_page(const LookPage& page);

}  // namespace flowrun::app
