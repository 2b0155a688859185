// Command stay is what people use: it starts the daemon stayd, asks it, and shows what it says.
package main

import (
	"os"

	"example.com/stay/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
