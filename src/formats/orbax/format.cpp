#include "formats/orbax/format.hpp"

#include "ckptree/error.hpp"
#include "formats/orbax/rows.hpp"

namespace ckptree {
namespace orbax {
namespace {

class OrbaxFormat final : public Format {
 public:
  const char* kind() const override { return "orbax"; }
  std::string commit_point() const override { return kCheckpointMetadata; }
  bool claims(const Source& source) const override { return is_checkpoint(source); }
  Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const override {
    if (!source->is_directory())
      throw Error(Errc::not_a_checkpoint, source->path() + ": expected the directory of a checkpoint of Orbax");
    return std::make_shared<CheckpointModel>(open_checkpoint(source, options));
  }
  ChangeSet seal(const Model& base, const Model& edited, const Stamp& stamp) const override {
    return orbax::seal(state_of(base), state_of(edited), kCheckpointMetadata, stamp);
  }
  Plan plan(const Model&, const Source&, const ChangeSet& changes, const Medium& medium) const override {
    return orbax::plan(changes, medium);
  }
  std::string layout(const Model& model) const override {
    switch (state_of(model).stored->layout) {
      case Layout::v1: return "v1";
      case Layout::composite: return "v0, composite";
      case Layout::direct: return "v0, direct";
    }
    return "";
  }

 private:
  static const State& state_of(const Model& model) {
    // Models of a mount come from the format that opened it.
    return dynamic_cast<const CheckpointModel&>(model).state();
  }
};

class StepsFormat final : public Format {
 public:
  const char* kind() const override { return "orbax-steps"; }
  std::string commit_point() const override { return kRootMetadata; }
  bool claims(const Source& source) const override { return is_steps(source); }
  Ptr<Model> open(Ptr<Source> source, const ViewOptions& options) const override {
    if (!source->is_directory())
      throw Error(Errc::not_a_checkpoint, source->path() + ": expected a directory of steps of Orbax");
    return std::make_shared<StepsModel>(open_steps(source, options));
  }
  ChangeSet seal(const Model& base, const Model& edited, const Stamp& stamp) const override {
    return orbax::seal(state_of(base), state_of(edited), kRootMetadata, stamp);
  }
  Plan plan(const Model&, const Source&, const ChangeSet& changes, const Medium& medium) const override {
    return orbax::plan(changes, medium);
  }
  std::string layout(const Model& model) const override {
    return std::to_string(steps_of(*state_of(model).stored->source).size()) + " steps";
  }

 private:
  static const State& state_of(const Model& model) { return dynamic_cast<const StepsModel&>(model).state(); }
};

}  // namespace
}  // namespace orbax

const Format& orbax_format() {
  static const orbax::OrbaxFormat format;
  return format;
}

const Format& orbax_steps_format() {
  static const orbax::StepsFormat format;
  return format;
}

bool may_be_orbax_steps(const Source& source) { return orbax::may_be_steps(source); }

void check_orbax_steps(const Source& source, const std::string& checkpointable) {
  orbax::check_checkpointable(source, checkpointable);
}

}  // namespace ckptree
