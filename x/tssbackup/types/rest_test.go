package types

import (
	"net/url"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/utilities"
	"github.com/stretchr/testify/require"
)

func TestRESTTakesTheNamesOfEnums(t *testing.T) {
	filter := utilities.NewDoubleArray(nil)
	for _, value := range []string{"VAULT_STATUS_ACTIVE", "1"} {
		var vaults QueryVaultsRequest
		require.NoError(t, runtime.PopulateQueryParameters(&vaults, url.Values{"status": {value}}, filter))
		require.Equal(t, VaultStatus_VAULT_STATUS_ACTIVE, vaults.Status)
	}
	var keygens QueryKeygensRequest
	require.NoError(t, runtime.PopulateQueryParameters(
		&keygens, url.Values{"status": {"KEYGEN_STATUS_OPEN"}}, filter))
	require.Equal(t, KeygenStatus_KEYGEN_STATUS_OPEN, keygens.Status)
	require.Error(t, runtime.PopulateQueryParameters(
		&keygens, url.Values{"status": {"KEYGEN_STATUS_OTHER"}}, filter))
}
