"""What the tests of attnbench and of its plugins share. Free of torch; nothing here is a measurement."""
