let
  machine = { disks.first = "sda"; };
  index = 1;
in
machine.disks.${index}
