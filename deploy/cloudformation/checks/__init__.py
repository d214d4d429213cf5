"""What is checked of the stacks, a module each; `deploy/cloudformation/check` runs them."""
