#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/pickle/pickle.hpp"

/// Arguments of a call in a pickle, checked: each names what it is in its errors, which are Errc::corrupt and sentences
/// without a place.
namespace ckptree::torch {

/// Most dimensions that torch makes.
constexpr std::size_t kMaxDimensions = 64;

[[noreturn]] void fail(const std::string& sentence);
/// "WHAT: expected a tuple, got a str".
[[noreturn]] void expected(const pickle::Graph& graph, const char* what, const char* expected, pickle::Id found);

/// False also where nothing stands.
bool is(const pickle::Graph& graph, pickle::Id id, pickle::Kind kind);
bool boolean_at(const pickle::Graph& graph, pickle::Id id, const char* what);
std::int64_t signed_at(const pickle::Graph& graph, pickle::Id id, const char* what);
/// An int that is not negative.
std::uint64_t count_at(const pickle::Graph& graph, pickle::Id id, const char* what);
/// A plain tuple of counts, or torch.Size of one; kMaxDimensions of them at most.
std::vector<std::uint64_t> counts_at(const pickle::Graph& graph, pickle::Id id, const char* what);
/// The argument of `module.name(argument)`; kNone when it is no such call.
pickle::Id only_argument(const pickle::Graph& graph, pickle::Id id, const char* module, const char* name);

}  // namespace ckptree::torch
