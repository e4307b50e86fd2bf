"""How good the wait estimate is: ten call centres in virtual time, with app_queue's rule beside it."""
