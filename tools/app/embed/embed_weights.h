// What `flowrun embed` knows of an encoder and of the pictures that it was made for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/embed/embed.h"

namespace flowrun::app {

struct EncoderToUse {
  std::string file;                                                  // of weights
  nlohmann::ordered_json model;                                      // its entry in a pipeline
  nlohmann::ordered_json decode = nlohmann::ordered_json::object();  // parameters of image.decode
  std::vector<nlohmann::ordered_json> views;                         // the sample nodes behind it, each with its type
  nlohmann::ordered_json upload = nlohmann::ordered_json::object();  // parameters of device.upload
  nlohmann::ordered_json plugins = nlohmann::ordered_json::array();  // of the run, if they are trusted
  int64_t batch = 64;
  std::string what = "mean";
  std::string said;  // for people: which weights, and how pictures are prepared
};

/// Of a run's folder, a checkpoint or file in it, a checkpoint alone, a folder with config.json and model.safetensors, or a file of weights.
/// Throws PipelineError and RunError.
EncoderToUse encoder_to_use(const EmbedArgs& args);

}  // namespace flowrun::app
