"""The models around the mixers, one file each: fixed, so that only the mixer differs between two scores."""
