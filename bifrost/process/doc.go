// Package process is what the project's commands ask of the operating system: that a crash leaves
// no secret on the disk, and a secret from a file, from standard input, or from the person at the
// terminal.
package process
