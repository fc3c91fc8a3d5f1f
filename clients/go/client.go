package ketgate

import (
	"context"

	"google.golang.org/grpc"

	jobsv1 "ketgate.dev/clients/go/gen/ketgate/jobs/v1"
	optimizationv1 "ketgate.dev/clients/go/gen/ketgate/optimization/v1"
	quantumv1 "ketgate.dev/clients/go/gen/ketgate/quantum/v1"
	serverv1 "ketgate.dev/clients/go/gen/ketgate/server/v1"
	signingv1 "ketgate.dev/clients/go/gen/ketgate/signing/v1"
)

// Answers can be as large as requests; grpc-go's own limit of 4 MiB would refuse a frontier of many names.
const receiveBytesMax = 64 << 20

// Client is a connection to a server. It may be used by many goroutines at once.
type Client struct {
	// Optimization has every method of ketgate.optimization.v1.OptimizationService.
	Optimization optimizationv1.OptimizationServiceClient
	// Quantum has every method of ketgate.quantum.v1.QuantumService.
	Quantum quantumv1.QuantumServiceClient
	// Algorithms has every method of ketgate.quantum.v1.AlgorithmService.
	Algorithms quantumv1.AlgorithmServiceClient
	// Learning has every method of ketgate.quantum.v1.LearningService.
	Learning quantumv1.LearningServiceClient
	// KeyService has every method of ketgate.signing.v1.KeyService.
	KeyService signingv1.KeyServiceClient
	// Signing has every method of ketgate.signing.v1.SigningService.
	Signing signingv1.SigningServiceClient
	// Jobs has every method of ketgate.jobs.v1.JobService.
	Jobs jobsv1.JobServiceClient
	// Server has every method of ketgate.server.v1.ServerService.
	Server serverv1.ServerServiceClient

	address string
	conn    *grpc.ClientConn
	policy  *policy
}

// Connect connects and asks the server who it is, so that a wrong address, certificate or token is told here.
func Connect(ctx context.Context, options ...Option) (*Client, error) {
	s, err := resolve(options)
	if err != nil {
		return nil, err
	}
	client, err := open(s)
	if err != nil {
		return nil, err
	}
	if _, err := client.Info(ctx); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// ConnectReady connects to the server that wrote the ready file.
func ConnectReady(ctx context.Context, readyFile string, options ...Option) (*Client, error) {
	return Connect(ctx, append([]Option{WithReadyFile(readyFile)}, options...)...)
}

// open makes the connection without using it.
func open(s *settings) (*Client, error) {
	transport, err := s.transport()
	if err != nil {
		return nil, err
	}
	p := newPolicy(s.timeout, s.attempts)
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent("ketgate-go/" + Version),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(receiveBytesMax)),
		grpc.WithChainUnaryInterceptor(p.unary),
		grpc.WithChainStreamInterceptor(p.stream),
		grpc.WithDisableServiceConfig(), // the retries are ours: grpc-go's cannot tell a busy server from a limit
	}
	if s.token != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(newBearer(s.token, s.insecure)))
	}
	conn, err := grpc.NewClient(s.address, append(dial, s.dialOptions...)...)
	if err != nil {
		return nil, newError(err)
	}
	return &Client{
		Optimization: optimizationv1.NewOptimizationServiceClient(conn),
		Quantum:      quantumv1.NewQuantumServiceClient(conn),
		Algorithms:   quantumv1.NewAlgorithmServiceClient(conn),
		Learning:     quantumv1.NewLearningServiceClient(conn),
		KeyService:   signingv1.NewKeyServiceClient(conn),
		Signing:      signingv1.NewSigningServiceClient(conn),
		Jobs:         jobsv1.NewJobServiceClient(conn),
		Server:       serverv1.NewServerServiceClient(conn),
		address:      s.address,
		conn:         conn,
		policy:       p,
	}, nil
}

// Address is the server's address.
func (c *Client) Address() string { return c.address }

// Conn is the connection, for services that this client has no short form of. Its calls, too, return *Error.
func (c *Client) Conn() *grpc.ClientConn { return c.conn }

// Close closes the connection; calls in progress end.
func (c *Client) Close() error { return c.conn.Close() }

// Info tells the server's version, its limits, its parts, and the roles of the token.
func (c *Client) Info(ctx context.Context) (*serverv1.GetServerInfoResponse, error) {
	return c.Server.GetServerInfo(ctx, &serverv1.GetServerInfoRequest{})
}
