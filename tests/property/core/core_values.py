"""Values that more than one property is about."""

from hypothesis import strategies as st

from tidegate.core.model.plan import Checks, ErrorPolicy, TooFew

policies = st.builds(
    ErrorPolicy,
    max_increase=st.floats(0, 1),
    min_samples=st.integers(1, 500),
    extend_seconds=st.integers(0, 7200),
    when_too_few=st.sampled_from(TooFew),
)
checks = st.builds(Checks, errors=policies)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
