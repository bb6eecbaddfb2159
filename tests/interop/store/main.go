package main

func main() { golden() }
