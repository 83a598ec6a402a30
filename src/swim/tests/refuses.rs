//! What must be refused: junk, lies, packets for somebody else.
