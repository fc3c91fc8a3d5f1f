package ketgate

import "google.golang.org/grpc/codes"

// One error for each reason of the contract, to compare with by errors.Is.
var (
	ErrMalformedMessage    = &Error{Code: codes.InvalidArgument, Reason: "MALFORMED_MESSAGE"}
	ErrFieldInvalid        = &Error{Code: codes.InvalidArgument, Reason: "FIELD_INVALID"}
	ErrLimitExceeded       = &Error{Code: codes.ResourceExhausted, Reason: "LIMIT_EXCEEDED"}
	ErrServerBusy          = &Error{Code: codes.ResourceExhausted, Reason: "SERVER_BUSY"}
	ErrTokenMissing        = &Error{Code: codes.Unauthenticated, Reason: "TOKEN_MISSING"}
	ErrTokenInvalid        = &Error{Code: codes.Unauthenticated, Reason: "TOKEN_INVALID"}
	ErrRoleMissing         = &Error{Code: codes.PermissionDenied, Reason: "ROLE_MISSING"}
	ErrTLSRequired         = &Error{Code: codes.Unauthenticated, Reason: "TLS_REQUIRED"}
	ErrPartNotInstalled    = &Error{Code: codes.FailedPrecondition, Reason: "PART_NOT_INSTALLED"}
	ErrDeadlineExceeded    = &Error{Code: codes.DeadlineExceeded, Reason: "DEADLINE_EXCEEDED"}
	ErrCancelled           = &Error{Code: codes.Canceled, Reason: "CANCELLED"}
	ErrDraining            = &Error{Code: codes.Unavailable, Reason: "DRAINING"}
	ErrMethodUnknown       = &Error{Code: codes.Unimplemented, Reason: "METHOD_UNKNOWN"}
	ErrInternal            = &Error{Code: codes.Internal, Reason: "INTERNAL"}
	ErrServiceUnknown      = &Error{Code: codes.NotFound, Reason: "SERVICE_UNKNOWN"}
	ErrSolverUnsuitable    = &Error{Code: codes.FailedPrecondition, Reason: "SOLVER_UNSUITABLE"}
	ErrRequestIDReused     = &Error{Code: codes.AlreadyExists, Reason: "REQUEST_ID_REUSED"}
	ErrReplyExpired        = &Error{Code: codes.FailedPrecondition, Reason: "REPLY_EXPIRED"}
	ErrResourceNotFound    = &Error{Code: codes.NotFound, Reason: "RESOURCE_NOT_FOUND"}
	ErrRevisionCompacted   = &Error{Code: codes.OutOfRange, Reason: "REVISION_COMPACTED"}
	ErrWatchTooSlow        = &Error{Code: codes.Aborted, Reason: "WATCH_TOO_SLOW"}
	ErrJobUnfinished       = &Error{Code: codes.FailedPrecondition, Reason: "JOB_UNFINISHED"}
	ErrETagMismatch        = &Error{Code: codes.Aborted, Reason: "ETAG_MISMATCH"}
	ErrStoreUnavailable    = &Error{Code: codes.Unavailable, Reason: "STORE_UNAVAILABLE"}
	ErrWorkerLost          = &Error{Code: codes.Aborted, Reason: "WORKER_LOST"}
	ErrJobCancelled        = &Error{Code: codes.Canceled, Reason: "JOB_CANCELLED"}
	ErrJobExpired          = &Error{Code: codes.DeadlineExceeded, Reason: "JOB_EXPIRED"}
	ErrOffsetMismatch      = &Error{Code: codes.OutOfRange, Reason: "OFFSET_MISMATCH"}
	ErrDigestMismatch      = &Error{Code: codes.DataLoss, Reason: "DIGEST_MISMATCH"}
	ErrArtifactInUse       = &Error{Code: codes.FailedPrecondition, Reason: "ARTIFACT_IN_USE"}
	ErrQuotaExceeded       = &Error{Code: codes.ResourceExhausted, Reason: "QUOTA_EXCEEDED"}
	ErrProgramInvalid      = &Error{Code: codes.InvalidArgument, Reason: "PROGRAM_INVALID"}
	ErrBackendUnsuitable   = &Error{Code: codes.FailedPrecondition, Reason: "BACKEND_UNSUITABLE"}
	ErrBackendUnavailable  = &Error{Code: codes.Unavailable, Reason: "BACKEND_UNAVAILABLE"}
	ErrCapExceeded         = &Error{Code: codes.ResourceExhausted, Reason: "CAP_EXCEEDED"}
	ErrProviderFailed      = &Error{Code: codes.Unavailable, Reason: "PROVIDER_FAILED"}
	ErrProviderCredentials = &Error{Code: codes.FailedPrecondition, Reason: "PROVIDER_CREDENTIALS"}
	ErrSubmissionUndecided = &Error{Code: codes.Aborted, Reason: "SUBMISSION_UNDECIDED"}
	ErrProviderJobFailed   = &Error{Code: codes.Aborted, Reason: "PROVIDER_JOB_FAILED"}
	ErrResourceExists      = &Error{Code: codes.AlreadyExists, Reason: "RESOURCE_EXISTS"}
	ErrPolicyDenied        = &Error{Code: codes.PermissionDenied, Reason: "POLICY_DENIED"}
	ErrKeyUnusable         = &Error{Code: codes.FailedPrecondition, Reason: "KEY_UNUSABLE"}
	ErrKeyNotExportable    = &Error{Code: codes.FailedPrecondition, Reason: "KEY_NOT_EXPORTABLE"}
	ErrRateExceeded        = &Error{Code: codes.ResourceExhausted, Reason: "RATE_EXCEEDED"}
	ErrCiphertextInvalid   = &Error{Code: codes.InvalidArgument, Reason: "CIPHERTEXT_INVALID"}
	ErrKeyStoreSealed      = &Error{Code: codes.FailedPrecondition, Reason: "KEY_STORE_SEALED"}
	ErrKeyCorrupt          = &Error{Code: codes.DataLoss, Reason: "KEY_CORRUPT"}
	ErrKeyStoreRolledBack  = &Error{Code: codes.FailedPrecondition, Reason: "KEY_STORE_ROLLED_BACK"}
	ErrChangeUndecidable   = &Error{Code: codes.FailedPrecondition, Reason: "CHANGE_UNDECIDABLE"}
	ErrChecksumMismatch    = &Error{Code: codes.InvalidArgument, Reason: "CHECKSUM_MISMATCH"}
	ErrUnavailable         = &Error{Code: codes.Unavailable} // away or draining: any reason
)

const unreachableRemedy = "Check the address and the CA, and that the server runs: `ketgate serve` starts one."

// remedies says what to do in the words of this client.
var remedies = map[Reason]string{
	"MALFORMED_MESSAGE":     "Use a client of the server's own version; Client.Info tells it.",
	"FIELD_INVALID":         "Change that field as the message says.",
	"LIMIT_EXCEEDED":        "Send less, or ask the operator to raise the limit; Client.Info lists them.",
	"PROGRAM_INVALID":       "Correct the program at the line and column in the message.",
	"BACKEND_UNSUITABLE":    "Choose another back end, or none: Client.Backends tells what each can.",
	"BACKEND_UNAVAILABLE":   "Try again after RetryAfter, or allow other back ends.",
	"CAP_EXCEEDED":          "Ask for less, or raise the cap; Client.EstimateRun tells the estimate.",
	"PROVIDER_FAILED":       "Try again after RetryAfter; GetBackend tells the provider's status.",
	"PROVIDER_CREDENTIALS":  "Ask the operator to configure the provider's credentials.",
	"SUBMISSION_UNDECIDED":  "Look for the tag in the message at the provider; create the job anew if it is not there.",
	"PROVIDER_JOB_FAILED":   "Put right what the provider said in the message, and create the job anew.",
	"SERVER_BUSY":           "Try again after RetryAfter, or allow more attempts with WithAttempts.",
	"TOKEN_MISSING":         "Use WithToken or WithTokenFile, or set KETGATE_TOKEN.",
	"TOKEN_INVALID":         "Ask the operator for a new token: `ketgate token create NAME`.",
	"ROLE_MISSING":          "Use a token that has the role named in the message.",
	"TLS_REQUIRED":          "Connect with TLS: leave out WithInsecure.",
	"PART_NOT_INSTALLED":    "Run the command in the message on the server, or ask for what it has: another solver, back end, algorithm or option.",
	"DEADLINE_EXCEEDED":     "Give the context more time, or send a smaller problem.",
	"CANCELLED":             "Nothing to do: the call was ended on purpose.",
	"DRAINING":              "The server is stopping; try again when it, or another, is up.",
	"METHOD_UNKNOWN":        "The server is older than this client; Client.Info lists what it serves.",
	"INTERNAL":              "Report it with the request id, which finds the cause in the server's log.",
	"SERVICE_UNKNOWN":       "Ask for a service that Client.Info lists.",
	"SOLVER_UNSUITABLE":     "Name another solver, or none: Client.Solvers tells what each takes.",
	"REQUEST_ID_REUSED":     "Use a new request id for a new request; the message names the first one's resource.",
	"REPLY_EXPIRED":         "Read the resource that the message names: the request was done.",
	"RESOURCE_NOT_FOUND":    "Check the name; retention may have removed a job, and a key is not there for whom its policy does not name.",
	"REVISION_COMPACTED":    "List, then watch from the revision after that of the list.",
	"WATCH_TOO_SLOW":        "Watch again from where it ended; nothing is missed.",
	"JOB_UNFINISHED":        "Cancel it and wait until it is over, then delete it.",
	"ETAG_MISMATCH":         "Read it again, and decide anew.",
	"STORE_UNAVAILABLE":     "Try again a little later, with the same request id.",
	"WORKER_LOST":           "Look at the job's attempts; give it less to do at once, or report it.",
	"JOB_CANCELLED":         "Nothing to do: it was cancelled, as asked.",
	"JOB_EXPIRED":           "Give the job more time.",
	"OFFSET_MISMATCH":       "Go on at the offset that the message names.",
	"DIGEST_MISMATCH":       "Send it again.",
	"ARTIFACT_IN_USE":       "Delete the jobs that refer to it, or leave it: it goes when nothing does.",
	"QUOTA_EXCEEDED":        "Wait until some are over, delete some, or ask the operator to raise the limit.",
	"RESOURCE_EXISTS":       "Use the one that there is, or choose another name.",
	"POLICY_DENIED":         "Ask whoever manages the key to grant it, or use a key whose policy does.",
	"KEY_UNUSABLE":          "Use another version, or enable it; a scheduled destruction can be cancelled until it is done.",
	"KEY_NOT_EXPORTABLE":    "Make a key that is exportable; an existing one cannot become so.",
	"RATE_EXCEEDED":         "Try again after RetryAfter, or ask whoever manages the key for a higher rate.",
	"CIPHERTEXT_INVALID":    "Check key, info and associated data; they must be those that it was sealed with.",
	"KEY_STORE_SEALED":      "Ask the operator to put the key-encryption key back.",
	"KEY_CORRUPT":           "Ask the operator to put the key back from a back-up; the server's log says which.",
	"KEY_STORE_ROLLED_BACK": "Ask the operator: docs/audit.md tells how to go on.",
	"CHANGE_UNDECIDABLE":    "Look at the change's state, approvals and requester; the key's policy names the approvers.",
	"CHECKSUM_MISMATCH":     "Send it again, with the CRC-32C (Castagnoli) of the bytes that are sent.",
}

// reasonsOfTransport names what grpc itself refuses, which carries no reason.
var reasonsOfTransport = map[codes.Code]Reason{
	codes.DeadlineExceeded:  "DEADLINE_EXCEEDED",
	codes.Canceled:          "CANCELLED",
	codes.ResourceExhausted: "LIMIT_EXCEEDED",
	codes.Unimplemented:     "METHOD_UNKNOWN",
	codes.Internal:          "INTERNAL",
}
