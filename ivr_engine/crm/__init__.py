"""One file per CRM: the one that is built in, and signed webhooks for any other."""
