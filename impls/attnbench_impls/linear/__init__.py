"""Linear attention: recurrent mechanisms with a matrix state."""
