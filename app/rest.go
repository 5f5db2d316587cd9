package app

import (
	"net/http"

	"github.com/cosmos/cosmos-sdk/server"
	"github.com/cosmos/cosmos-sdk/server/api"
	"github.com/cosmos/cosmos-sdk/server/config"

	"github.com/tssbackup/tssbackup/x/tssbackup/openapi"
)

// RegisterAPIRoutes serves REST, and with api.swagger in app.toml the document of the module beside
// the SDK's own pages.
func (app *App) RegisterAPIRoutes(s *api.Server, cfg config.APIConfig) {
	app.App.RegisterAPIRoutes(s, cfg)
	if !cfg.Swagger {
		return
	}
	// Ahead of the pages, which take everything below /swagger/.
	s.Router.HandleFunc(openapi.Path, openapi.Handler).Methods(http.MethodGet)
	if err := server.RegisterSwaggerAPI(s.ClientCtx, s.Router, cfg.Swagger); err != nil {
		panic(err) // the files are not in the binary
	}
}
