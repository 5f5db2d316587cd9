// Package schema holds what the commands print with --output json against docs/output.schema.json.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is the schema of the repository that the tests were built from.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile(path())
})

func path() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "docs", "output.schema.json")
}

// Commands are those whose output the schema describes.
func Commands() ([]string, error) {
	data, err := os.ReadFile(path())
	if err != nil {
		return nil, err
	}
	var parsed struct {
		AllOf []struct {
			If struct {
				Properties struct{ Command struct{ Const string } }
			}
		}
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		return nil, err
	}
	var names []string
	for _, one := range parsed.AllOf {
		names = append(names, one.If.Properties.Command.Const)
	}
	return names, nil
}

// Asked reports whether a command line asks for JSON.
func Asked(args []string) bool {
	i := slices.Index(args, "--output")
	return i >= 0 && i+1 < len(args) && args[i+1] == "json"
}

// Check errs unless the output of a command is one object as the schema describes it, and names
// this exit code.
func Check(output []byte, code int) error {
	schema, err := compiled()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(output))
	if err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	said := "0"
	object, _ := value.(map[string]any)
	if of, ok := object["error"].(map[string]any); ok {
		said = fmt.Sprint(of["code"])
	}
	if said != fmt.Sprint(code) {
		return fmt.Errorf("it names exit code %s, and the command ended with %d", said, code)
	}
	return nil
}
