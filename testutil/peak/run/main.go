// Command run runs a command and says how much memory its process took at most.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"

	"github.com/tssbackup/tssbackup/testutil/peak"
)

func main() {
	limit := flag.Int64("max", 0, "how many MB it may take; 0 is any")
	flag.Parse()
	cmd := exec.Command(flag.Arg(0), flag.Args()[1:]...)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	bytes, err := peak.Run(cmd)
	fmt.Println(bytes/1e6, "MB")
	if err == nil && *limit > 0 && bytes > *limit*1e6 {
		err = fmt.Errorf("%s took more than %d MB", flag.Arg(0), *limit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
