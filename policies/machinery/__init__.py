"""How controls are written, fed and reported: everything about the pack that is not itself a control."""
