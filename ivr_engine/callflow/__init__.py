"""What a caller lives through, one coroutine a chapter; knows only the domain and the ports."""
