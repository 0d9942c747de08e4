"""Virtual rollouts: what a policy would catch, how soon, and how many users it would cost."""
