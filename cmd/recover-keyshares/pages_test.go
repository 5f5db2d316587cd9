package main

import (
	"testing"

	"github.com/tssbackup/tssbackup/testutil/pages"
)

func TestThatPagesTellOfEveryCommand(t *testing.T) { pages.Check(t, program) }
