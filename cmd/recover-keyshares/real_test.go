//go:build sinks

package main

import (
	"flag"
	"testing"

	"github.com/tssbackup/tssbackup/testutil/servers"
)

// tools is the folder of the servers, which make test-sinks installs.
var tools = flag.String("tools", "", "folder of the servers to test with")

func TestARealNodeOfIPFSAloneIsEnough(t *testing.T) {
	api, gateway := servers.IPFS(t, *tools)
	recoverFromIPFS(t, "ipfs://"+api, "http://"+gateway)
}
