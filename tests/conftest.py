"""What all tests share."""

from hypothesis import Phase, settings

# Properties are about what comes out, not about how fast a busy machine is.
settings.register_profile("no deadline", deadline=None)
# A mutant is tried with the same examples every time, and nobody wants to see the smallest one that finds it.
settings.register_profile(
    "mutants", deadline=None, max_examples=50, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("no deadline")
