/** Starts Swagger UI for v1. */

/** The OpenAPI document of the old backend names a token URL that has never existed. */
const tokenUrl = "/api/v1/auth/login";

const loginPlugin = {
  statePlugins: {
    spec: {
      wrapActions: {
        updateJsonSpec: (update) => (document) => {
          for (const { flows } of Object.values(document.components?.securitySchemes ?? {})) {
            if (flows?.password) flows.password.tokenUrl = tokenUrl;
          }
          return update(document);
        },
      },
    },
    auth: {
      wrapActions: {
        /** Login answers `{"data": {"access_token": …}}` where OAuth2 has the token at the top. */
        authorizeOauth2: (authorize) => ({ auth, token }) => authorize({ auth, token: token.data ?? token }),
      },
    },
  },
};

globalThis.SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  deepLinking: true,
  persistAuthorization: false,
  plugins: [loginPlugin],
});
