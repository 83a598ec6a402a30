//! Two machines face to face: the words that they exchange, one by one.
