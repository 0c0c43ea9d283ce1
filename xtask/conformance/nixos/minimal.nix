# Nothing but what a system needs.
{ machine, ... }: machine { }
