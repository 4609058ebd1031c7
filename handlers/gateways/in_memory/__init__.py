"""The gateways in memory, for tests, the simulation and `slipway plan`; the app neither uses nor ships them."""
