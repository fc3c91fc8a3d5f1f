package ketgate

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/protoadapt"

	jobsv1 "ketgate.dev/clients/go/gen/ketgate/jobs/v1"
	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
	serverv1 "ketgate.dev/clients/go/gen/ketgate/server/v1"
	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

// fakeServer answers as each test says, over a real gRPC connection in memory.
type fakeServer struct {
	optimizationv1.UnimplementedOptimizationServiceServer
	serverv1.UnimplementedServerServiceServer

	solve  func(context.Context, *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error)
	stream func(grpc.ServerStreamingServer[optimizationv1.SolveStreamResponse]) error
	list   func(*optimizationv1.ListSolversRequest) (*optimizationv1.ListSolversResponse, error)
	jobs   *fakeJobs
	signer signingv1.SigningServiceServer
}

func (f *fakeServer) Solve(ctx context.Context, r *optimizationv1.SolveRequest) (*optimizationv1.SolveResponse, error) {
	return f.solve(ctx, r)
}

func (f *fakeServer) SolveStream(_ *optimizationv1.SolveStreamRequest,
	s grpc.ServerStreamingServer[optimizationv1.SolveStreamResponse]) error {
	return f.stream(s)
}

func (f *fakeServer) ListSolvers(_ context.Context,
	r *optimizationv1.ListSolversRequest) (*optimizationv1.ListSolversResponse, error) {
	return f.list(r)
}

func (f *fakeServer) GetServerInfo(ctx context.Context,
	_ *serverv1.GetServerInfoRequest) (*serverv1.GetServerInfoResponse, error) {
	sent, _ := metadata.FromIncomingContext(ctx)
	if token := sent.Get("authorization"); len(token) != 1 || token[0] != "Bearer right" {
		return nil, refusal(codes.Unauthenticated, "TOKEN_INVALID", "the token is unknown")
	}
	return &serverv1.GetServerInfoResponse{Version: "9.9.9"}, nil
}

// serving starts the fake server; the option makes a client reach it, whatever its address.
func serving(t *testing.T, fake *fakeServer) Option {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	optimizationv1.RegisterOptimizationServiceServer(server, fake)
	serverv1.RegisterServerServiceServer(server, fake)
	if fake.jobs != nil {
		jobsv1.RegisterJobServiceServer(server, fake.jobs)
	}
	if fake.signer != nil {
		signingv1.RegisterSigningServiceServer(server, fake.signer)
	}
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return WithDialOptions(grpc.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
}

// connected is a client of the fake server. Its pauses between attempts take no time and are noted in waits.
func connected(t *testing.T, fake *fakeServer, options ...Option) (client *Client, waits *[]time.Duration) {
	t.Helper()
	all := append([]Option{WithAddress("127.0.0.1:1"), WithInsecure(), WithToken("right"), serving(t, fake)}, options...)
	client, err := Connect(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	waits = new([]time.Duration)
	client.policy.pause = func(ctx context.Context, wait time.Duration) error {
		*waits = append(*waits, wait)
		return ctx.Err()
	}
	return client, waits
}

// refusal is an error as the server sends it.
func refusal(code codes.Code, reason, message string, details ...protoadapt.MessageV1) error {
	answer := status.New(code, message)
	info := &errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: map[string]string{"request_id": "r-1"}}
	answer, err := answer.WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	if err != nil {
		panic(err)
	}
	return answer.Err()
}
