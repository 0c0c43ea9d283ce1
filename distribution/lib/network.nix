# IPv6 addresses.
{ lib }:
let
  inherit (builtins)
    concatLists
    concatStringsSep
    elemAt
    filter
    genList
    head
    isString
    length
    map
    match
    split
    throw
    toString
    ;
  inherit (lib.strings) splitString toLower;
  inherit (lib.trivial) bitXor fromHexString toHexString;

  zeros = n: genList (_: 0) n;
  group =
    original: s:
    if match "[0-9a-fA-F]{1,4}" s == null then
      throw "0x${s} is not a valid part of the IPv6 address '${original}'"
    else
      fromHexString s;

  # The eight groups as numbers.
  parse =
    address:
    let
      halves = splitString "::" address;
      groups = s: if s == "" then [ ] else map (group address) (splitString ":" s);
      left = groups (head halves);
      right = groups (elemAt halves 1);
      missing = 8 - length left - length right;
    in
    if length halves == 1 then
      if length left == 8 then left else throw "${address} is not a valid IPv6 address: it has ${toString (length left)} groups instead of 8"
    else if length halves == 2 && missing >= 0 then
      left ++ zeros missing ++ right
    else
      throw "${address} is not a valid IPv6 address";
in
{
  ipv6 = {
    # "2001:db8::1/64" as `{ address, prefixLength }`, the address written out.
    fromString =
      s:
      let
        parts = splitString "/" s;
        prefixLength = if length parts == 1 then 128 else lib.strings.toInt (elemAt parts 1);
      in
      if length parts > 2 then
        throw "${s} is not a valid IPv6 address in CIDR notation"
      else if prefixLength < 0 || prefixLength > 128 then
        throw "${toString prefixLength} is not a valid IPv6 prefix length: it must be between 0 and 128"
      else
        {
          address = concatStringsSep ":" (map (n: toLower (toHexString n)) (parse (head parts)));
          inherit prefixLength;
        };

    # The last 64 bits that an interface gives itself, from its MAC address.
    mkEUI64Suffix =
      mac:
      let
        bytes = filter (s: isString s && s != "") (split "[-:.]" mac);
        checked =
          if match "^([0-9A-Za-z]{2}[-:.]?){5}[0-9A-Za-z]{2}$" mac == null then
            throw "Supplied MAC address is not valid: ${mac}"
          else
            map toLower (map (b: b) flat);
        flat =
          if length bytes == 6 then
            bytes
          else
            let
              s = concatStringsSep "" bytes;
            in
            genList (i: builtins.substring (2 * i) 2 s) 6;
        byte = elemAt checked;
        hex = n: lib.strings.fixedWidthString 2 "0" (toLower (toHexString n));
        first = hex (bitXor (fromHexString (byte 0)) 2);
      in
      "${first}${byte 1}:${byte 2}ff:fe${byte 3}:${byte 4}${byte 5}";
  };
}
