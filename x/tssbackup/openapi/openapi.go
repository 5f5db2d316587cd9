// Package openapi is the OpenAPI (Swagger 2.0) document of the module's REST interface, generated
// from its protos.
package openapi

import (
	_ "embed"
	"net/http"
)

// Path is where an app serves the document.
const Path = "/swagger/tssbackup.json"

//go:embed tssbackup.swagger.json
var document []byte

// Handler serves the document.
func Handler(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) // the client is gone
}
