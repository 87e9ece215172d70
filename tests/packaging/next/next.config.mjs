/** Rooms and model files come from the signaling server. */
const server = process.env.LINGUALINKED_URL;

export default {
  devIndicators: false,
  rewrites: async () => ["/api/:path*", "/models/:path*"].map((source) => ({ source, destination: `${server}${source}` })),
};
