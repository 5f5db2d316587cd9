package types

import "github.com/golang/protobuf/proto" //nolint:staticcheck // where grpc-gateway v1 looks, and nowhere else

// The REST gateway looks for the names of enums where golang/protobuf has its own, and gogoproto's
// are not: with them a query takes ?status=VAULT_STATUS_ACTIVE beside the number.
//
//nolint:staticcheck // as above
func init() {
	proto.RegisterEnum("tssbackup.v1.ChurnStatus", ChurnStatus_name, ChurnStatus_value)
	proto.RegisterEnum("tssbackup.v1.HeartbeatKind", HeartbeatKind_name, HeartbeatKind_value)
	proto.RegisterEnum("tssbackup.v1.KeygenStatus", KeygenStatus_name, KeygenStatus_value)
	proto.RegisterEnum("tssbackup.v1.VaultStatus", VaultStatus_name, VaultStatus_value)
}
