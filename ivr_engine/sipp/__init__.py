"""SIPp as callers and phones, with ears that tell from the RTP what is heard on the line."""
