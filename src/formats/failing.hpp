#pragma once

#include <memory>
#include <string>
#include <utility>

#include "ckptree/error.hpp"
#include "ckptree/recipe.hpp"

namespace ckptree {

/// A content whose size and bytes cannot be had: reading it throws.
inline Recipe failing_content(Errc code, const std::string& sentence) {
  struct Failing final : Computed {
    Failing(Errc error, std::string text) : code(error), sentence(std::move(text)) {}
    void read(std::uint64_t, Buffer) const override { throw Error(code, sentence); }
    const Errc code;
    const std::string sentence;
  };
  Recipe recipe;
  recipe.tag = "failing:" + tag_of(sentence);
  const Ptr<Computed> piece = std::make_shared<Failing>(code, sentence);
  recipe.pieces.push_back({piece, 1});  // one byte, so that whoever reads it meets the failure
  return recipe;
}

}  // namespace ckptree
