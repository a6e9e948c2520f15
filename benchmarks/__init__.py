"""Speed, measured: each file compares with what people do otherwise, in the same run on the same machine."""
