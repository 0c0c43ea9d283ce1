# The address of each machine.
{
  web = "10.0.0.10";
  monitor = "10.0.0.11";
}
