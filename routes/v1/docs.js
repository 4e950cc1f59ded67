/** Starts Swagger UI for v1. */

/** The OpenAPI document names `/api/v1/auth/token`, a path that the old backend did not have either. */
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
        /** The login response is `{"data": {"access_token": …}}`; OAuth2 expects `{"access_token": …}`. */
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
