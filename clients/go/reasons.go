package ketgate

import "google.golang.org/grpc/codes"

// One error for each reason of the contract, to compare with by errors.Is.
var (
	ErrMalformedMessage = &Error{Code: codes.InvalidArgument, Reason: "MALFORMED_MESSAGE"}
	ErrFieldInvalid     = &Error{Code: codes.InvalidArgument, Reason: "FIELD_INVALID"}
	ErrLimitExceeded    = &Error{Code: codes.ResourceExhausted, Reason: "LIMIT_EXCEEDED"}
	ErrServerBusy       = &Error{Code: codes.ResourceExhausted, Reason: "SERVER_BUSY"}
	ErrTokenMissing     = &Error{Code: codes.Unauthenticated, Reason: "TOKEN_MISSING"}
	ErrTokenInvalid     = &Error{Code: codes.Unauthenticated, Reason: "TOKEN_INVALID"}
	ErrRoleMissing      = &Error{Code: codes.PermissionDenied, Reason: "ROLE_MISSING"}
	ErrTLSRequired      = &Error{Code: codes.Unauthenticated, Reason: "TLS_REQUIRED"}
	ErrPartNotInstalled = &Error{Code: codes.FailedPrecondition, Reason: "PART_NOT_INSTALLED"}
	ErrDeadlineExceeded = &Error{Code: codes.DeadlineExceeded, Reason: "DEADLINE_EXCEEDED"}
	ErrCancelled        = &Error{Code: codes.Canceled, Reason: "CANCELLED"}
	ErrDraining         = &Error{Code: codes.Unavailable, Reason: "DRAINING"}
	ErrMethodUnknown    = &Error{Code: codes.Unimplemented, Reason: "METHOD_UNKNOWN"}
	ErrInternal         = &Error{Code: codes.Internal, Reason: "INTERNAL"}
	ErrServiceUnknown   = &Error{Code: codes.NotFound, Reason: "SERVICE_UNKNOWN"}
	ErrSolverUnsuitable = &Error{Code: codes.FailedPrecondition, Reason: "SOLVER_UNSUITABLE"}
	ErrUnavailable      = &Error{Code: codes.Unavailable} // away or draining: any reason
)

const unreachableRemedy = "Check the address and the CA, and that the server runs: `ketgate serve` starts one."

// remedies says what to do in the words of this client.
var remedies = map[Reason]string{
	"MALFORMED_MESSAGE":  "Use a client of the server's own version; Client.Info tells it.",
	"FIELD_INVALID":      "Change that field as the message says.",
	"LIMIT_EXCEEDED":     "Send less, or ask the operator to raise the limit; Client.Info lists them.",
	"SERVER_BUSY":        "Try again after RetryAfter, or allow more attempts with WithAttempts.",
	"TOKEN_MISSING":      "Use WithToken or WithTokenFile, or set KETGATE_TOKEN.",
	"TOKEN_INVALID":      "Ask the operator for a new token: `ketgate token create NAME`.",
	"ROLE_MISSING":       "Use a token that has the role named in the message.",
	"TLS_REQUIRED":       "Connect with TLS: leave out WithInsecure.",
	"PART_NOT_INSTALLED": "Run the command in the message on the server, or choose another solver.",
	"DEADLINE_EXCEEDED":  "Give the context more time, or send a smaller problem.",
	"CANCELLED":          "Nothing to do: the call was ended on purpose.",
	"DRAINING":           "The server is stopping; try again when it, or another, is up.",
	"METHOD_UNKNOWN":     "The server is older than this client; Client.Info lists what it serves.",
	"INTERNAL":           "Report it with the request id, which finds the cause in the server's log.",
	"SERVICE_UNKNOWN":    "Ask for a service that Client.Info lists.",
	"SOLVER_UNSUITABLE":  "Name another solver, or none: Client.Solvers tells what each takes.",
}

// reasonsOfTransport names what grpc itself refuses, which carries no reason.
var reasonsOfTransport = map[codes.Code]Reason{
	codes.DeadlineExceeded:  "DEADLINE_EXCEEDED",
	codes.Canceled:          "CANCELLED",
	codes.ResourceExhausted: "LIMIT_EXCEEDED",
	codes.Unimplemented:     "METHOD_UNKNOWN",
	codes.Internal:          "INTERNAL",
}
