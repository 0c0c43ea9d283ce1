# What single Debian packages need beyond what the lock file says: entry name → function of its attributes → attributes that
# replace them. Only for what needs the package set; plain import parameters belong in packages.json.
{ lib, final }:
{
}
