{
  name = "hello;
}
