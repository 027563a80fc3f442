"""A laboratory for stalls: a checkout that goes wrong as a case file says, beside a real Unjam."""
