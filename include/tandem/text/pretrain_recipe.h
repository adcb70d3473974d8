#pragma once
// What lists for the pre-training of a connector are made of.

#include <array>
#include <string_view>

namespace tandem::text {

struct PretrainRecipe {
  std::string_view name{};  // of the verb that makes it
  std::array<std::string_view, 11> requests{};
};

// LLaVA's: the requests of Liu et al. 2023, table 11 (instructions for brief image description).
// Its stage 1 discards them again (chat `plain`); they stand in the lists.
inline constexpr PretrainRecipe llava_pretrain{
    "llava-pretrain",
    {"Describe the image concisely.", "Provide a brief description of the given image.",
     "Offer a succinct explanation of the picture presented.",
     "Summarize the visual content of the image.",
     "Give a short and clear explanation of the subsequent image.",
     "Share a concise interpretation of the image provided.",
     "Present a compact description of the photo's key features.",
     "Relay a brief, clear account of the picture shown.",
     "Render a clear and concise summary of the photo.",
     "Write a terse but informative summary of the picture.",
     "Create a compact narrative representing the image presented."}};

}  // namespace tandem::text
