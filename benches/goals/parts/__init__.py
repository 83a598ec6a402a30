"""The goals that need no peer: each part measures some of them."""
