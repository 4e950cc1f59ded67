// Written by 'deno task openapi' from the routes of v2. Do not edit.

export interface paths {
    "/api/v2/auth/browser/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign in a browser
         * @description The refresh token is set as a cookie: HttpOnly, SameSite=Strict, only for `/auth/browser`, and Secure with the prefix `__Secure-` if the page came over https.
         */
        post: {
            parameters: {
                query?: never;
                header: {
                    /** @description Shows that a script of the same origin sends the request, and no form or link of another site */
                    "X-Console": "1";
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": {
                        email: string;
                        /** Format: password */
                        password: string;
                    };
                };
            };
            responses: {
                /** @description Signed in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BrowserToken"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/browser/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End the session of the cookie, if there is one, and remove the cookie */
        post: {
            parameters: {
                query?: never;
                header: {
                    /** @description Shows that a script of the same origin sends the request, and no form or link of another site */
                    "X-Console": "1";
                };
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/browser/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a new access token for the session of the cookie
         * @description The refresh token is set as a cookie: HttpOnly, SameSite=Strict, only for `/auth/browser`, and Secure with the prefix `__Secure-` if the page came over https. Repeating it within 10 s is safe, as with POST /auth/refresh.
         */
        post: {
            parameters: {
                query?: never;
                header: {
                    /** @description Shows that a script of the same origin sends the request, and no form or link of another site */
                    "X-Console": "1";
                };
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The new access token */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["BrowserToken"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Sign in */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": {
                        email: string;
                        /** Format: password */
                        password: string;
                    };
                };
            };
            responses: {
                /** @description Signed in */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tokens"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                408: components["responses"]["too_slow"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End this session. Its tokens stop working immediately */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/logout-everywhere": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End all sessions of the signed-in user, including this one */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Exchange a refresh token for new tokens
         * @description Each refresh token is valid once. If it is presented again within 10 s, the response contains the same next token: two tabs may renew at the same time, and a response may be lost. If it is presented later, the session ends, because a copy of the token exists.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": {
                        refresh_token: string;
                    };
                };
            };
            responses: {
                /** @description The new tokens */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tokens"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                408: components["responses"]["too_slow"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the open sessions of the signed-in user */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Sessions"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/auth/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End one of the signed-in user's sessions */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/compare": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Compare two tasks on the units that both have rated */
        get: {
            parameters: {
                query: {
                    /** @description Ids of tasks A and B, which are different */
                    tasks: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description B − A */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Comparison"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show this document in Swagger UI */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description HTML */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/html": string;
                    };
                };
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get this document */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description OpenAPI 3.1 */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            [key: string]: unknown;
                        };
                    };
                };
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/shares/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the share of this request and its task */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The share */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["ShareAbout"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/dead-letters": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the cells that failed for good */
        get: {
            parameters: {
                query?: {
                    /** @description Restrict to causes that contain this text, case-insensitive */
                    cause?: string;
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                    /** @description Restrict to cells that failed at or after this time */
                    since?: string;
                    /** @description Restrict to this task */
                    task?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DeadLetters"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/dead-letters/causes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Count the cells that failed for good by cause */
        get: {
            parameters: {
                query?: {
                    /** @description Restrict to causes that contain this text, case-insensitive */
                    cause?: string;
                    /** @description Restrict to cells that failed at or after this time */
                    since?: string;
                    /** @description Restrict to this task */
                    task?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Most frequent first, at most 100 */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DeadLetterCauses"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/dead-letters/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Draw cells again that failed for good
         * @description Those that match all that the body restricts to, over all tasks. Cells of cancelled and deleted tasks stay as they are. A repeated call changes nothing more.
         */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ReplayIn"];
                };
            };
            responses: {
                /** @description What is pending again */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Replayed"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["before_cutover"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/doctor": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Look for faults in the queue
         * @description Looks at tasks, cells, notices, workers and queues in PostgreSQL, and after 2.5 s again at what it found: what passes by itself is left out. `deno task worker:doctor` also looks at Redis.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Faults first; none if the queue is healthy */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DoctorReport"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/migration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the state of the migration
         * @description What the running `sync` and `back` have stored. The API does not connect to MongoDB.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The current state */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Migration"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/migration/ledger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Count what became of the documents of the source
         * @description documents = exact + adjusted + quarantined + waiting + excluded. Counts the rows, so ask for it seldom.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The ledger by collection */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["MigrationLedger"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/queues": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get slots, load and health of the queues */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description All queues */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Queues"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/queues/{q}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set or remove the slot override of a queue
         * @description The leader applies the override within a second. It takes precedence over backlog and health until it expires.
         */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Name of the queue */
                    q: "high" | "standard" | "lumina";
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["QueuePatch"];
                };
            };
            responses: {
                /** @description The queue with its override; `slots` changes when the leader applies it */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Queue"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        trace?: never;
    };
    "/api/v2/system/queues/{q}/override": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove the slot override of a queue */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Name of the queue */
                    q: "high" | "standard" | "lumina";
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The queue has no override */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the status of the system */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The current status */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SystemStatus"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/traffic": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the phase of the traffic and what the comparison found */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The current state. The ETag is that of the phase; PATCH accepts it in If-Match */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Traffic"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change the phase of the traffic or the share of users
         * @description In order are `old` ↔ `shadow` ↔ `canary`, and the way back by any number of steps. `new` is reached by a cut-over only, and left by a rollback. `force` overrides the order and may lose writes; the journal keeps it.
         */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["TrafficPatch"];
                };
            };
            responses: {
                /** @description The traffic after the change; unchanged if it was so already */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Traffic"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        trace?: never;
    };
    "/api/v2/system/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the webhooks of all tasks with the outcome of their deliveries */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["SystemWebhooks"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/system/workers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the registered workers */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Oldest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Workers"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List tasks, newest first */
        get: {
            parameters: {
                query?: {
                    created_before?: string;
                    created_from?: string;
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                    mine?: "true" | "false";
                    /** @description Part of the name, case-insensitive */
                    name?: string;
                    /** @description Comma-separated list of pending, processing, completed, failed, cancelled */
                    status?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page of tasks */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tasks"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /** Create a task with all its cells. An Idempotency-Key makes repetition safe */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["TaskIn"];
                };
            };
            responses: {
                /** @description The task */
                201: {
                    headers: {
                        /** @description Path of the new task */
                        Location?: string;
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Task"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a task with its progress, rate, remaining time, failure causes and axes, without its cells */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The task. PATCH accepts its ETag in If-Match; the comparison covers only what PATCH changes */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["TaskDetail"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        /** Cancel and delete a task */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Deleted, now or before */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["before_cutover"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        /** Change the name, blindness, axis roles or priority of a task */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["TaskPatch"];
                };
            };
            responses: {
                /** @description The changed task */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Task"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        trace?: never;
    };
    "/api/v2/tasks/{id}/agreement": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Measure the agreement of raters, with each rater's bias and inconsistency */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Agreement on the current images */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Agreement"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel a task. Pending cells are never drawn */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The state. A repeated call returns the same with `finishing` 0 */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Cancelled"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get cells by number */
        get: {
            parameters: {
                query: {
                    /** @description Comma-separated cell numbers, at most 500 */
                    ids: string;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The cells in the requested order. Unknown numbers are left out */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Cells"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a cell with its request, all attempts, and all images with their ratings */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The cell */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CellDetail"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/evaluations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the evaluations of a cell's images. Where others are hidden, only one's own */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Oldest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Evaluations"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /** Evaluate the image of a cell */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["EvaluationIn"];
                };
            };
            responses: {
                /** @description The evaluation */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Evaluation"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/favourite": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Mark a cell as a favourite */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done; also if nothing changed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        post?: never;
        /** Remove a cell from one's favourites */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done; also if nothing changed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/rating": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get one's own rating of a cell's image */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The rating. Stars and reason are null without one */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Rating"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        /** Rate a cell's image, or change one's rating */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RatingIn"];
                };
            };
            responses: {
                /** @description The rating, with the new mean */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Rating"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        post?: never;
        /** Delete one's rating */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The image's rating without one's own, now or before */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Rating"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/ratings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the ratings of a cell's images with all changes. Where others are hidden, only one's own */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Oldest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RatingHistory"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/rerun": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Draw a cell again. Its image and feedback remain in its history */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The cell is pending */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Rerun"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/tags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the tags of a cell. Where others are hidden and the image is not rated yet, only one's own */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description At most 50, ordered by code points */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["CellTags"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/cells/{cell}/tags/{tag}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Tag a cell */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                    /** @description One line of 1 to 100 characters without leading or trailing white space */
                    tag: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done; also if nothing changed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        post?: never;
        /** Remove a tag from a cell; for its author, the owner of the task and admins */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Number of the cell in the matrix, row-major from 0 */
                    cell: string;
                    /** @description Id of the task */
                    id: string;
                    /** @description One line of 1 to 100 characters without leading or trailing white space */
                    tag: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done; also if nothing changed */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/clone": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Create a task from this one. Fields in the body replace those of the original */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["TaskCloneIn"];
                };
            };
            responses: {
                /** @description The new task */
                201: {
                    headers: {
                        /** @description Path of the new task */
                        Location?: string;
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Task"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/evaluations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the evaluations of a task's images. Where others are hidden, only one's own */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Evaluations"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/evaluations/{evaluation}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get an evaluation */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    evaluation: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The evaluation */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Evaluation"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        /** Delete an evaluation; for its author, the owner of the task and admins */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    evaluation: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Deleted */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        /** Change one's own evaluation */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    evaluation: string;
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["EvaluationPatch"];
                };
            };
            responses: {
                /** @description The changed evaluation */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Evaluation"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        trace?: never;
    };
    "/api/v2/tasks/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stream the changes of a task as server-sent events
         * @description `progress`: counts by state and cells per second, at most twice a second. `cells`: changed cells with status, version, image, mean and n. `end`: the task has ended; later ratings and re-runs are still sent. `resync`: read the planes again; the stream continues from its revision. `bye`: the stream ends (`expired`, `revoked`, `draining`, `deleted`). The id of an event is the revision up to which the client is complete. Send it as Last-Event-ID to miss nothing.
         */
        get: {
            parameters: {
                query?: {
                    /** @description Revision to resume from, such as that of the planes. Last-Event-ID takes precedence */
                    since?: string;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Server-sent events */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": string;
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export all cells with their feedback as a file
         * @description Each cell is exported in its state at the time of reading, with everything that people said about it: ratings and reasons for skipping, evaluations with their tags, tags of the cell, votes, and feedback on earlier images (`earlier_images`). Lists whose names begin with the same word have the same order. A person is an e-mail address, or an id for a share, for a deleted user, and for requests with a share. Where others' ratings are hidden, cells that one has not rated are exported without means, ratings, evaluations and tags of others; votes of others only for the owner of the task and admins. `favourite` is one's own.
         */
        get: {
            parameters: {
                query?: {
                    /** @description CSV only: starts with a byte order mark, without which spreadsheets on many systems do not detect UTF-8. Programs that do not skip the mark ask for `false` */
                    bom?: "true" | "false";
                    format?: "csv" | "ndjson" | "html";
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The file */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/x-ndjson": string;
                        "text/csv": string;
                        "text/html": string;
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/favourites": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List one's own favourites in a task */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description By cell number */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Favourites"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/order": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get what the task was created from, in the form of POST /tasks. Client JSON is unchanged */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The body that creates such a task */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["TaskInput"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/pairs/next": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the next pairs to compare: images that differ on one axis, pairs with few votes first */
        get: {
            parameters: {
                query?: {
                    /** @description Axis of the task with several values, on which they differ. By default the first treatment axis with several values, otherwise the first axis with several values */
                    axis?: "v0" | "v1" | "v2" | "v3" | "v4" | "v5";
                    /** @description Leave out what distinguishes the images: indices on the axes, prompts and ratio */
                    blind?: "true" | "false";
                    /** @description Maximum number of pairs */
                    n?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Pairs with randomly chosen sides; empty if one has judged every pair */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Pairs"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Pause a task. Running cells continue */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Paused */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["TaskState"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/planes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get all cells of a task as one byte per cell and plane */
        get: {
            parameters: {
                query?: {
                    /** @description Comma-separated planes */
                    f?: string;
                    /** @description `X-Revision` of the response that the client has */
                    since?: string;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Without `since`, or if a delta would not be smaller, the response contains the planes in the order of `f`, each with `X-Cells` bytes, one per cell. With `X-Delta: true` it contains unordered entries: the cell number (4 bytes, little-endian), then one byte per plane. A claim does not raise the revision. Therefore set all cells of status 2 to 1 before applying a delta; the delta contains every cell that is being drawn. Bytes: `status` 0 no such cell, 1 pending, 2 processing, 3 completed, 4 failed, 5 cancelled; `rating` ten times the mean, 0 unrated or hidden; `n` number of raters, at most 255; `mine` one's own stars, 6 skipped, 0 none; `spread` one plus ten times the standard deviation between raters, 0 for fewer than two or hidden. `X-Revision` is the next `since`. */
                200: {
                    headers: {
                        /** @description Number of cells of the task */
                        "X-Cells"?: string;
                        /** @description `true` for a delta, otherwise `false` */
                        "X-Delta"?: string;
                        /** @description Revision of the task that these bytes represent */
                        "X-Revision"?: string;
                        [name: string]: unknown;
                    };
                    content: {
                        "application/octet-stream": string;
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/prune": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel pending cells of the selection. Other cells are unaffected */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["PruneIn"];
                };
            };
            responses: {
                /** @description Number of cells; 0 for a repeated call */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Pruned"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/queue/next": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the next images to rate: those that one has neither rated nor skipped */
        get: {
            parameters: {
                query?: {
                    /** @description Leave out what distinguishes the images: indices on the axes, prompts and ratio */
                    blind?: "true" | "false";
                    /** @description Maximum number of images */
                    n?: number;
                    /** @description spread: images whose axis levels one has rated least; fewest: images with the fewest ratings; decide: images whose mean or rank is most uncertain */
                    strategy?: "spread" | "fewest" | "decide";
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Most useful first; empty if all drawn images are rated */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["RatingQueue"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/ratings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Rate many cells at once */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RatingsIn"];
                };
            };
            responses: {
                /** @description The accepted and the refused ratings */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Ratings"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Resume a task that was paused, held by the canary, or imported */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Resumed */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["TaskState"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Retry failed cells: all, or those that match the filter */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["RetryIn"];
                };
            };
            responses: {
                /** @description Number of cells; 0 for a repeated call */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Retried"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/shares": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the shares of a task, including ended ones */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Shares"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /** Create a share of a task, for reading or rating */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["ShareIn"];
                };
            };
            responses: {
                /** @description The share, with its token */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewShare"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/shares/{share}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a share. Its token stops working immediately */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    share: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Revoked, now or before */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/slice": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a two-dimensional slice of the matrix */
        get: {
            parameters: {
                query: {
                    /** @description Indices (from 0) on axes of the task other than `x` and `y`; 0 by default */
                    at?: string;
                    /** @description Axis of the task for the columns */
                    x: string;
                    /** @description Axis of the task for the rows, another one than `x`; without it the slice has one row. A slice has at most 10,000 cells */
                    y?: string;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Rows of cells */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Slice"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Compare the levels of an axis, with intervals */
        get: {
            parameters: {
                query: {
                    /** @description Axis of the task whose values are compared */
                    axis: string;
                    /** @description Index of the value of `axis` with which the others are compared */
                    baseline?: number;
                    /** @description Repeat the analysis within each level of this axis of the task, which is another one than `axis` */
                    by?: string;
                    measure?: string;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Levels in the order of the axis */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Stats"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/tags": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the tags of a task with the number of cells of each */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ordered by code points */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tags"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/tags/{tag}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the cells with a tag; an unknown tag has none */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    /** @description One line of 1 to 100 characters without leading or trailing white space */
                    tag: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description By cell number */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tagged"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/votes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List votes: all for the owner of the task and admins, one's own for others */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Oldest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Votes"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /** Vote for one of two images */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["VoteIn"];
                };
            };
            responses: {
                /** @description The vote */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Vote"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/votes/{vote}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Withdraw one's last vote */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    vote: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Withdrawn */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the webhooks of a task, at most ten */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Oldest first, all on one page */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Webhooks"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /**
         * Send the events of a task to a URL
         * @description Each event is a POST of JSON with the headers `X-Contactsheet-Event`, `X-Contactsheet-Delivery` (the same for each try) and `X-Contactsheet-Signature: t=SECONDS,v1=HEX`. HEX is the HMAC-SHA-256 of `SECONDS.BODY` with the secret.
         */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path: {
                    /** @description Id of the task */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["WebhookIn"];
                };
            };
            responses: {
                /** @description The webhook, with its secret */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["NewWebhook"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/webhooks/{webhook}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Delete a webhook. Unsent deliveries are dropped */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    webhook: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Deleted with its log */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/webhooks/{webhook}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the deliveries of a webhook with their outcome */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    webhook: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Deliveries"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/{id}/webhooks/{webhook}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Send an event `test` in the usual way */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the task */
                    id: string;
                    webhook: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The delivery. Its outcome appears in the list of deliveries */
                202: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Delivery"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stream what happens in all tasks as server-sent events
         * @description `runs`: `{runs, deleted, all}`. Each of `runs` has `id`, `revision`, `status`, `hold`, `cells` by state, `per_minute`, `eta`, and `raters`: who rated within ten minutes. The first event, and each after missed ones, has `all` true and every open task and the newest ones; later events have those that changed. `bye`: the stream ends, as with a task's events. Nothing is replayed; after an interruption, read `GET /tasks` again.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Server-sent events */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": string;
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/tasks/plan": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Compute what POST /tasks would create from this body. Nothing is stored */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["TaskPlanIn"];
                };
            };
            responses: {
                /** @description The plan */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["TaskPlan"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List users, oldest first */
        get: {
            parameters: {
                query?: {
                    active?: boolean;
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                    /** @description Part of the e-mail address or the name, case-insensitive */
                    q?: string;
                    role?: "admin" | "manager" | "user" | "guest";
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description A page of users */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Users"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        /** Create a user */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description A repeated request with the same key does its work once and gets the same response */
                    "Idempotency-Key"?: string;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["UserIn"];
                };
            };
            responses: {
                /** @description The new user */
                201: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["User"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get a user */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the user */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The user */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["User"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        /**
         * Delete a user permanently
         * @description The user's tasks and ratings remain. The last active admin cannot be deleted.
         */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the user */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Deleted */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                409: components["responses"]["conflict"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        /**
         * Change a user
         * @description A new password and `is_active: false` end the user's sessions. The last active admin cannot be demoted or disabled.
         */
        patch: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the user */
                    id: string;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["UserPatch"];
                };
            };
            responses: {
                /** @description The changed user */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["User"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        trace?: never;
    };
    "/api/v2/users/{id}/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the open sessions of a user */
        get: {
            parameters: {
                query?: {
                    /** @description `next` of the previous page */
                    cursor?: string;
                    /** @description Maximum number of items */
                    limit?: number;
                };
                header?: never;
                path: {
                    /** @description Id of the user */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Newest first */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Sessions"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        /** End all sessions of a user. Their tokens stop working immediately */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description Id of the user */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Ended */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                404: components["responses"]["not_found"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/users/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Get the signed-in user */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description The user */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Me"];
                    };
                };
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/users/me/password": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /** Change the password of the signed-in user. All sessions end and a new one starts */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": {
                        /** Format: password */
                        current_password: string;
                        /**
                         * Format: password
                         * @description At most 72 bytes in UTF-8, neither common nor easy to guess here
                         */
                        new_password: string;
                    };
                };
            };
            responses: {
                /** @description Tokens of the new session */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Tokens"];
                    };
                };
                400: components["responses"]["invalid_json"];
                401: components["responses"]["unauthenticated"];
                403: components["responses"]["forbidden"];
                408: components["responses"]["too_slow"];
                409: components["responses"]["conflict"];
                413: components["responses"]["too_large"];
                415: components["responses"]["unsupported_media"];
                422: components["responses"]["invalid_request"];
                429: components["responses"]["too_many_requests"];
                503: components["responses"]["busy"];
            };
        };
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Agreement: {
            alpha: components["schemas"]["Estimate"] & unknown;
            images: number;
            method: string;
            raters: {
                /** @description Mean deviation, in stars, from the images' means */
                bias: number | null;
                /** @description Standard deviation of what remains after removing the bias, in stars */
                inconsistency: number | null;
                n: number;
                /** @description E-mail address; null for a share and for a deleted user */
                rater: string | null;
                /** Format: uuid */
                rater_id: string;
                /** @description Images that another rater rated too */
                shared: number;
            }[];
            ratings: number;
            revision: string;
            /** @description Images with ratings of at least two raters */
            shared_images: number;
            /** Format: uuid */
            task_id: string;
            /** @description Content units of those images; the interval is computed over them */
            units: number;
            warnings: {
                code: string;
                text: string;
            }[];
        };
        BrowserToken: {
            access_token: string;
            /** @description Remaining lifetime of the access token in seconds */
            expires_in: number;
            /** Format: uuid */
            session_id: string;
            /** @enum {string} */
            token_type: "bearer";
        };
        Cancelled: {
            /** @description Cells without an image */
            cancelled: number;
            /** @description Those of them that were being drawn and are being stopped */
            finishing: number;
            /**
             * @description Why it is not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
        };
        Cell: {
            cell: number;
            error: string | null;
            ratings: {
                /** @description Mean over all raters; null while others' ratings are hidden */
                mean: number | null;
                /** @description Number of raters; null while others' ratings are hidden */
                n: number | null;
                /** @description One's own reason for skipping */
                skipped: string | null;
                /** @description One's own stars */
                stars: number | null;
            };
            /** @description Decimal digits; a seed may have 64 bits */
            seed: string | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            /** @description The image itself if the image API provided no thumbnail */
            thumbnail: string | null;
            url: string | null;
            /** @description Number of the attempt that made the image or is under way */
            version: number;
        };
        CellDetail: {
            /** @description Ended attempts, oldest first */
            attempts: {
                attempt: number;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                ended_at: string | null;
                /** @enum {string} */
                outcome: "done" | "timeout" | "illegal" | "error" | "lost";
                reason: string | null;
                remote_job: string | null;
                seconds: number | null;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                started_at: string | null;
            }[];
            /** @description Normalised cause of the last failure */
            cause: string | null;
            cell: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            completed_at: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            error: string | null;
            /** Format: uuid */
            id: string;
            /**
             * Format: date-time
             * @description Earliest time of the next attempt
             * @example 2025-05-13T07:40:46.622Z
             */
            not_before: string | null;
            /** @description Id of a migrated subtask in the old backend; null if it is the same */
            old_id: string | null;
            /** @description Index (from 0) and value on each axis; null if cells do not fill the axes */
            places: {
                axis: string;
                place: number;
                value?: unknown;
            }[] | null;
            ratings: {
                /** @description Mean over all raters; null while others' ratings are hidden */
                mean: number | null;
                /** @description Number of raters; null while others' ratings are hidden */
                n: number | null;
                /** @description One's own reason for skipping */
                skipped: string | null;
                /** @description One's own stars */
                stars: number | null;
            };
            remote_job: string | null;
            /** @description The request to the image API. Client JSON is unchanged */
            request: {
                client_args?: unknown;
                prompts?: unknown;
                queue: string;
                ratio: string | null;
                seed: string | null;
                use_polish: boolean;
            };
            /** @description The stored part of the image API's response */
            result?: unknown;
            retries: number;
            /** @description Decimal digits; a seed may have 64 bits */
            seed: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            started_at: string | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            /** @description The image itself if the image API provided no thumbnail */
            thumbnail: string | null;
            url: string | null;
            /** @description Number of the attempt that made the image or is under way */
            version: number;
            /** @description Images of the cell, oldest first, each with its own ratings */
            versions: {
                current: boolean;
                /** @description Number of evaluations; null while others' are hidden */
                evaluations: number | null;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                made_at: string | null;
                ratings: {
                    /** @description Mean over all raters; null while others' ratings are hidden */
                    mean: number | null;
                    /** @description Number of raters; null while others' ratings are hidden */
                    n: number | null;
                    /** @description One's own reason for skipping */
                    skipped: string | null;
                    /** @description One's own stars */
                    stars: number | null;
                };
                url: string;
                version: number;
            }[];
        };
        Cells: {
            items: components["schemas"]["Cell"][];
        };
        CellTag: {
            /** @description E-mail address; null for a share, for a deleted user, and for requests with a share */
            author: string | null;
            /**
             * Format: uuid
             * @description First person who set the tag
             */
            author_id: string;
            cell: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            tag: string;
        };
        CellTags: {
            items: components["schemas"]["CellTag"][];
        };
        Comparison: {
            a: {
                /** @description Mean over shared units */
                mean: number | null;
                name: string;
                raters: number;
                ratings: number;
                revision: string;
                /** Format: uuid */
                task_id: string;
                /** @description Rated units that the other task has not rated */
                units_alone: number;
            };
            b: {
                /** @description Mean over shared units */
                mean: number | null;
                name: string;
                raters: number;
                ratings: number;
                revision: string;
                /** Format: uuid */
                task_id: string;
                /** @description Rated units that the other task has not rated */
                units_alone: number;
            };
            /** @description Combinations of equal values within those units */
            combinations: number;
            difference: components["schemas"]["Estimate"] & unknown;
            differs: {
                axes: {
                    /** @enum {string} */
                    in: "both" | "a" | "b";
                    name: string;
                    only_a: string[];
                    only_b: string[];
                    type: string;
                }[];
                /** @description Tags without a variable, by type, that only one of the tasks has */
                fixed: {
                    a: string[];
                    b: string[];
                    type: string;
                }[];
                seed_policy: {
                    a: string;
                    b: string;
                } | null;
                settings: {
                    /** @description The value as JSON; null if not set */
                    a: string | null;
                    /** @description The value as JSON; null if not set */
                    b: string | null;
                    key: string;
                }[];
            };
            method: string;
            p: number | null;
            p_sign_flip: number | null;
            /** @description Means of the shared units, largest difference first, at most 200 */
            shared: {
                a: number;
                b: number;
                difference: number;
                /** @description Its values on the axes that make the units */
                labels: string[];
            }[];
            shared_raters: number;
            /** @description Content units that both tasks have rated */
            units: number;
            warnings: {
                code: string;
                text: string;
            }[];
        };
        DeadLetter: {
            attempt: number;
            /** @description `error` without ids, addresses and attempt numbers */
            cause: string;
            /** @description Number in the matrix; null for some imported cells */
            cell: number | null;
            error: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            failed_at: string;
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            task_id: string;
            task_name: string;
            /**
             * @description Cells of a cancelled task stay as they are
             * @enum {string}
             */
            task_status: "pending" | "processing" | "completed" | "failed" | "cancelled";
        };
        DeadLetterCauses: {
            items: {
                cause: string;
                cells: number;
            }[];
        };
        DeadLetters: {
            items: components["schemas"]["DeadLetter"][];
            next: string | null;
        };
        Deliveries: {
            items: components["schemas"]["Delivery"][];
            next: string | null;
        };
        Delivery: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            closed_at: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            error: string | null;
            event: string;
            id: string;
            /**
             * Format: date-time
             * @description Earliest time of the next try. Earlier deliveries of the webhook go first
             * @example 2025-05-13T07:40:46.622Z
             */
            next_try_at: string | null;
            /** @enum {string} */
            state: "waiting" | "arrived" | "given_up";
            /** @description HTTP status of the receiver's last response */
            status: number | null;
            tries: number;
        };
        DoctorFinding: {
            /** @description Ids of tasks, cells or workers, or names of queues or holds; at most 20 */
            about: string[];
            /** @enum {string} */
            check: "silent_workers" | "leader" | "queues" | "counters" | "unclosed_tasks" | "open_cells" | "cancelling" | "ends" | "leases" | "notices" | "untold_ends" | "held_tasks" | "abandoned_notices";
            count: number;
            /** @description false: a note about an unusual state */
            fault: boolean;
            /** @description `deno task worker:doctor --repair` repairs it */
            repairable: boolean;
            text: string;
        };
        DoctorReport: {
            checks: number;
            findings: components["schemas"]["DoctorFinding"][];
        };
        /** @description Estimate with a 95 % interval; its bounds are null if it cannot be computed */
        Estimate: {
            high: number | null;
            low: number | null;
            value: number;
        } | null;
        Evaluation: {
            /** @description E-mail address; null for a share, for a deleted user, and for requests with a share */
            author: string | null;
            /** Format: uuid */
            author_id: string;
            cell: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            edited_at: string | null;
            /** Format: uuid */
            id: string;
            tags: string[];
            text: string;
            /** @description Number of the attempt that made the evaluated image */
            version: number;
        };
        EvaluationIn: {
            /**
             * @description Duplicate tags are stored once
             * @default []
             */
            tags?: string[];
            /** @description Stored byte for byte. Markup has no meaning */
            text: string;
            /** @description Number of the attempt that made the judged image; refused if the cell has another one now */
            version?: number;
        };
        EvaluationPatch: {
            /** @description Duplicate tags are stored once */
            tags?: string[];
            /** @description Stored byte for byte. Markup has no meaning */
            text?: string;
        };
        Evaluations: {
            items: components["schemas"]["Evaluation"][];
            next: string | null;
        };
        Favourite: {
            cell: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
        };
        Favourites: {
            items: components["schemas"]["Favourite"][];
            next: string | null;
        };
        FrontProcess: {
            /** @description Version of the traffic that the process works by */
            acknowledged: number;
            host: string;
            id: string;
            is_current: boolean;
            pid: number;
            seen_ms_ago: number;
            writes_held: number;
            /** @description Writes that the old backend has not answered yet */
            writes_in_flight: number;
        };
        ImageToJudge: {
            /**
             * @description Index of the cell's value on each axis, v0 to v5
             * @example {
             *       "v0": 2,
             *       "v1": 0
             *     }
             */
            at?: {
                [key: string]: number;
            };
            cell: number;
            image_url: string;
            prompts?: unknown;
            ratio?: string | null;
            /** @description Number of the attempt that made the image */
            version: number;
        };
        LevelStats: {
            adjusted?: number | null;
            against?: {
                /** @description Probability of superiority P(A > B) + ½ P(A = B), where B is the baseline */
                better: number;
                difference: components["schemas"]["Estimate"];
                /** @description About how many further rated images of both levels would make the interval exclude 0, if the difference and the spread stay as they are; null if it does so already, or if nothing can be said */
                images_to_decide: number | null;
                /** @description p-value of Student's t test of paired differences */
                p: number | null;
                /** @description p, corrected for the comparisons of all levels with the baseline (Holm) */
                p_holm: number | null;
                p_sign_flip: number | null;
                /** @description For screening: q-value (Benjamini and Hochberg) over all comparisons of the answer */
                q: number | null;
                /** @description Units that have both levels */
                units: number;
            } | null;
            /** @description Probability of being the best level, by a bootstrap over units */
            best?: number | null;
            bt?: {
                high: number;
                low: number;
                ranks: {
                    best: number;
                    worst: number;
                };
                strength: number;
                votes: number;
            } | null;
            distribution?: number[] | null;
            fail?: {
                attempts: {
                    failed: number;
                    refused: number;
                    timed_out: number;
                };
                ended: number;
                failed: components["schemas"]["Proportion"];
                refused: components["schemas"]["Proportion"];
                timed_out: components["schemas"]["Proportion"];
            };
            label: string;
            /** @description Index of the value in the variable, from 0 */
            level: number;
            mean?: components["schemas"]["Estimate"];
            n?: {
                images: number;
                raters: number;
                ratings: number;
                units: number;
            };
            /** @description Share of ratings of 4 and 5 */
            top2?: {
                high: number | null;
                low: number | null;
                value: number;
            } | null;
        };
        Me: {
            email: string;
            fullname: string | null;
            /** Format: uuid */
            id: string;
            roles: ("admin" | "manager" | "user" | "guest")[];
        };
        Migration: {
            back: components["schemas"]["MigrationBack"];
            following: components["schemas"]["MigrationFollowing"];
            /** @description Times when the position was lost; both sides were compared afterwards */
            gaps: {
                healed: number;
                /** @description Newest first, at most 20 */
                items: components["schemas"]["MigrationGap"][];
                open: number;
            };
            gate: components["schemas"]["MigrationGate"];
            /** @description Switches, rehearsals and decisions, newest first, at most 50 */
            journal: components["schemas"]["MigrationJournalEntry"][];
            /** @description The next command, as the stored state tells it */
            next: {
                command: string;
                /** @enum {string} */
                name: "move" | "sync" | "restart" | "copying" | "verify" | "shadow" | "canary" | "share" | "check" | "rehearse" | "cutover" | "abort" | "back" | "watch" | "done";
                /** @description What it is for */
                text: string;
            };
            /** @description The quarantined documents by reason, most frequent first */
            quarantine: components["schemas"]["MigrationQuarantine"][];
            /** @description Documents without a row, whose bytes are kept */
            quarantined: number;
            /**
             * @description `none`: no source is followed
             * @enum {string}
             */
            state: "none" | "copying" | "following" | "gap" | "stopped" | "ended";
            /** @description The last verification while both sides changed */
            verification: {
                differences: number;
                documents: number;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                ended_at: string | null;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                started_at: string;
                /** @enum {string|null} */
                verdict: "equal" | "different" | null;
            } | null;
            /** @description Documents that wait for their task or for a key that another one has */
            waiting: components["schemas"]["MigrationWaiting"][];
        };
        MigrationBack: {
            /** @description Recorded changes that MongoDB does not have yet */
            changes: number;
            /** @description Documents that MongoDB has confirmed */
            documents: number;
            /** @description Whether changes made here are recorded */
            is_captured: boolean;
            /** @description Age of the oldest of them */
            lag_seconds: number | null;
            /**
             * Format: date-time
             * @description Time of the newest change that MongoDB has
             * @example 2025-05-13T07:40:46.622Z
             */
            position_at: string | null;
            /** @description The running `back`; null if none runs */
            process: {
                holder: string;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                since: string;
            } | null;
            /**
             * @description null: `back` never ran
             * @enum {string|null}
             */
            state: "running" | "stopped" | "ended" | null;
            stop_reason: string | null;
        };
        MigrationFollowing: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            applied_at: string;
            /** @description Changes that were read since the copy */
            changes: number;
            changes_per_second: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            copied_at: string | null;
            /** @description Documents that were applied since the copy */
            documents: number;
            documents_per_second: number;
            /** @description Time until the position leaves the oplog; null if it is not known */
            headroom_seconds: number | null;
            /** @description How far the rows may be behind the source; null before the copy is complete */
            lag_seconds: number | null;
            /** @description Address of the source, without user and password */
            location: string;
            /** @enum {string} */
            mode: "stream" | "poll";
            /**
             * Format: date-time
             * @description Time of the source up to which all changes are applied
             * @example 2025-05-13T07:40:46.622Z
             */
            position_at: string | null;
            /** @description The running `sync`; null if none runs */
            process: {
                holder: string;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                since: string;
            } | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            started_at: string;
            stop_reason: string | null;
        } | null;
        MigrationGap: {
            /** @description Documents of these that were read in full */
            applied: number | null;
            /** @description Documents that were compared; null while the gap is open */
            compared: number | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            found_at: string;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            healed_at: string | null;
            /**
             * Format: date-time
             * @description The position that was lost
             * @example 2025-05-13T07:40:46.622Z
             */
            lost_at: string | null;
            reason: string;
            /**
             * Format: date-time
             * @description The position from which changes are applied since
             * @example 2025-05-13T07:40:46.622Z
             */
            resumed_at: string | null;
        };
        /** @description What the gate found when a command read it last; null if none has */
        MigrationGate: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            at: string;
            by: string;
            checks: {
                found: string;
                name: string;
                /** @enum {string} */
                state: "ready" | "not_ready" | "accepted" | "unknown";
                /** @description Empty if nothing is to be done */
                todo: string;
            }[];
            is_ready: boolean;
        } | null;
        MigrationJournalEntry: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            at: string;
            by: string;
            /** @enum {string} */
            kind: "rehearsal" | "cutover" | "rollback" | "decision";
            note: string | null;
            /** @description Time for which writes were held */
            pause_ms: number | null;
            /** @description State of a switch or rehearsal; name of a decision */
            what: string;
        };
        MigrationLedger: {
            /**
             * Format: date-time
             * @description Time of the source up to which the counts are complete
             * @example 2025-05-13T07:40:46.622Z
             */
            at: string | null;
            collections: {
                adjusted: number;
                /** @enum {string} */
                collection: "users" | "tasks" | "dramatiq_tasks";
                /** @description Documents of the source; null for a followed one, which only `status --from mongodb` counts */
                documents: number | null;
                exact: number;
                excluded: number;
                /** @description Rows of earlier versions of quarantined and waiting documents; not among the other counts */
                kept: number;
                quarantined: number;
                waiting: number;
            }[];
            location: string | null;
            /** @enum {string} */
            source: "none" | "loaded" | "followed";
        };
        MigrationQuarantine: {
            collection: string;
            documents: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            first_at: string;
            reason: string;
        };
        MigrationWaiting: {
            collection: string;
            documents: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            first_at: string;
            reason: string;
        };
        NewShare: {
            blind: boolean;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /** @description E-mail address; null for a deleted user */
            created_by: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            expires_at: string;
            /** Format: uuid */
            id: string;
            label: string;
            /** @enum {string} */
            mode: "read" | "rate";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            revoked_at: string | null;
            /** @description Token for `Authorization: Bearer`. It is returned only here; the server stores its hash */
            token: string;
        };
        NewWebhook: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /** @description E-mail address; null for a deleted user */
            created_by: string | null;
            events: string[];
            /** Format: uuid */
            id: string;
            /** @description Returned only here */
            secret: string;
            url: string;
        };
        Pairs: {
            /** @description Null if no axis has several values */
            axis: string | null;
            items: {
                left: components["schemas"]["ImageToJudge"];
                right: components["schemas"]["ImageToJudge"];
            }[];
        };
        Problem: {
            detail: string;
            /** @description The invalid fields of the request */
            errors?: {
                /** @example body.stars */
                field: string;
                /**
                 * @description The given value as JSON, shortened if it is long. Absent for containers and secrets
                 * @example 6
                 */
                value?: string;
                /**
                 * @description The valid values, for a person
                 * @example at most 5
                 */
                wanted: string;
            }[];
            /** @description Id of the request, which the log contains too */
            instance: string;
            status: number;
            title: string;
            /** @example urn:contactsheet:problem:not_found */
            type: string;
        };
        /** @description Share of cells with Wilson's 95 % interval */
        Proportion: {
            high: number | null;
            low: number | null;
            n: number;
            of: number;
            rate: number | null;
        };
        Pruned: {
            cells: number;
            /**
             * @description Why it is not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
        };
        PruneIn: {
            /** @description Numbers of the cells */
            cells?: number[];
            /**
             * @description Restrict to cells with one of these indices (from 0) on each of these axes of the task
             * @example {
             *       "v0": [
             *         1,
             *         4
             *       ],
             *       "v2": [
             *         0
             *       ]
             *     }
             */
            where?: {
                batch?: number[];
                v0?: number[];
                v1?: number[];
                v2?: number[];
                v3?: number[];
                v4?: number[];
                v5?: number[];
            };
        } | unknown | {
            where: unknown;
        };
        Queue: {
            /** @description Dispatchable cells, counted up to 1,000 */
            backlog: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            changed_at: string;
            /** @description Changes of `slots`, newest first, at most 5 */
            changes: {
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                at: string;
                reason: string;
                slots_after: number;
                slots_before: number;
            }[];
            /** @description Calls to the queue's backend since the workers started */
            health: {
                calls: number;
                create_ms: number | null;
                creates: number;
                failures: number;
                throttled: number;
            };
            override: components["schemas"]["SlotOverride"];
            /** @enum {string} */
            queue: "high" | "standard" | "lumina";
            /** @description Image jobs that the queue's backend started per minute, between the last two measurements; null at first */
            rate_per_minute: number | null;
            reason: string;
            /** @description Slots of the live workers */
            room: number;
            running: number;
            /** @description Maximum number of concurrent attempts */
            slots: number;
            /** @description Number of slots that the backlog alone would require */
            wanted: number;
            workers: number;
        };
        QueuePatch: {
            /** @description null removes the override */
            override: {
                /**
                 * @description Duration in seconds
                 * @example 3600
                 */
                expires_in: number;
                reason: string;
                slots: number;
            } | null;
        };
        Queues: {
            items: components["schemas"]["Queue"][];
        };
        Rating: {
            cell: number;
            /** @description Mean over all raters; null while others' ratings are hidden */
            mean: number | null;
            n: number | null;
            skipped: string | null;
            stars: number | null;
            /** @description Number of the attempt that made the rated image */
            version: number;
        };
        RatingHistory: {
            items: {
                /** @enum {string} */
                action: "rated" | "changed" | "cleared";
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                at: string;
                /** @description E-mail address; null for a share, for a deleted user, and for requests with a share */
                rater: string | null;
                /** Format: uuid */
                rater_id: string;
                skipped: string | null;
                stars: number | null;
                version: number;
            }[];
            next: string | null;
        };
        RatingIn: {
            /**
             * @description Whether the rater saw neither axes nor others' ratings
             * @default false
             */
            blind?: boolean;
            /** @description Reason for not rating */
            skipped?: string;
            /** @description 1 (bad) to 5 (good). Either `stars` or `skipped` is required */
            stars?: number;
            took_ms?: number;
            /** @description Number of the attempt that made the judged image; refused if the cell has another one now */
            version?: number;
        } & (unknown | unknown);
        RatingQueue: {
            items: (components["schemas"]["ImageToJudge"] & {
                /**
                 * Format: date-time
                 * @description The image is reserved for the rater until then
                 * @example 2025-05-13T07:40:46.622Z
                 */
                until: string;
            })[];
        };
        Ratings: {
            rated: number;
            ratings: components["schemas"]["Rating"][];
            refused: {
                cell: number;
                /** @description Position in the request, from 0 */
                index: number;
                /**
                 * @description changed: the cell has another image than the judged one
                 * @enum {string}
                 */
                reason: "no_cell" | "no_image" | "changed";
            }[];
        };
        RatingsIn: {
            ratings: ({
                /**
                 * @description Whether the rater saw neither axes nor others' ratings
                 * @default false
                 */
                blind?: boolean;
                cell: number;
                /**
                 * @description Deletes one's rating
                 * @enum {boolean}
                 */
                cleared?: true;
                /** @description Reason for not rating */
                skipped?: string;
                /** @description 1 (bad) to 5 (good). Either `stars` or `skipped` is required */
                stars?: number;
                took_ms?: number;
                /** @description Number of the attempt that made the judged image; refused if the cell has another one now */
                version?: number;
            } & (unknown | unknown | unknown))[];
        };
        Replayed: {
            cells: number;
            /** @description Tasks among them that are held: their cells wait */
            held: number;
            tasks: number;
        };
        ReplayIn: {
            /**
             * @description Wanted where nothing restricts
             * @enum {boolean}
             */
            all?: true;
            /** @description Restrict to causes that contain this text, case-insensitive */
            cause?: string;
            /** @description Restrict to these cells */
            cells?: {
                cell: number;
                /** Format: uuid */
                task: string;
            }[];
            /**
             * Format: date-time
             * @description Restrict to cells that failed at or after this time
             * @example 2025-05-13T07:40:46.622Z
             */
            since?: string;
            /**
             * Format: uuid
             * @description Restrict to this task
             */
            task?: string;
        } | unknown | unknown | unknown | unknown | unknown;
        Rerun: {
            cell: number;
            /** @enum {string} */
            status: "pending";
        };
        Retried: {
            cells: number;
            /**
             * @description Why it is not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
        };
        RetryIn: {
            /** @description Restrict to causes that contain this text, case-insensitive */
            cause?: string;
            /** @description Numbers of the cells */
            cells?: number[];
            /**
             * Format: date-time
             * @description Restrict to cells that failed at or after this time
             * @example 2025-05-13T07:40:46.622Z
             */
            since?: string;
            /**
             * @description Restrict to cells with one of these indices (from 0) on each of these axes of the task
             * @example {
             *       "v0": [
             *         1,
             *         4
             *       ],
             *       "v2": [
             *         0
             *       ]
             *     }
             */
            where?: {
                batch?: number[];
                v0?: number[];
                v1?: number[];
                v2?: number[];
                v3?: number[];
                v4?: number[];
                v5?: number[];
            };
        };
        Sessions: {
            items: {
                /** @description User-Agent of the client */
                client: string;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                created_at: string;
                /** @description Whether it is the session of this request */
                current: boolean;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                expires_at: string;
                /** Format: uuid */
                id: string;
                /**
                 * Format: date-time
                 * @example 2025-05-13T07:40:46.622Z
                 */
                renewed_at: string;
            }[];
            next: string | null;
        };
        ShadowDifference: {
            answers: number;
            /**
             * @description `code`: equal rows give different answers; `data`: a row differs from its document; `lag`: changes were not applied yet; `noise`: the old backend answers differently by itself; `intended`: a known difference
             * @enum {string}
             */
            cause: "lag" | "data" | "code" | "noise" | "intended";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            first_at: string;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            last_at: string;
            /** @description Place in the answer, with `*` for places in lists and ids */
            path: string;
            route: string;
            /** @description What explains the difference; empty if nothing does */
            rule: string;
            sample_new: string | null;
            sample_old: string | null;
            sample_target: string;
        };
        Share: {
            blind: boolean;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /** @description E-mail address; null for a deleted user */
            created_by: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            expires_at: string;
            /** Format: uuid */
            id: string;
            label: string;
            /** @enum {string} */
            mode: "read" | "rate";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            revoked_at: string | null;
        };
        ShareAbout: {
            blind: boolean;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            expires_at: string;
            /** Format: uuid */
            id: string;
            label: string;
            /** @enum {string} */
            mode: "read" | "rate";
            task: {
                /** Format: uuid */
                id: string;
                name: string;
            };
        };
        ShareIn: {
            /**
             * @description Hide others' ratings of an image until it is rated
             * @default false
             */
            blind?: boolean;
            /**
             * @description Lifetime in seconds, at most 90 days
             * @default 604800
             */
            expires_in?: number;
            /**
             * @description Recipient or purpose
             * @default
             */
            label?: string;
            /** @enum {string} */
            mode: "read" | "rate";
        };
        Shares: {
            items: components["schemas"]["Share"][];
            next: string | null;
        };
        Slice: {
            at: {
                [key: string]: number;
            };
            /** @description One row per index on y, with one cell per index on x */
            rows: (components["schemas"]["Cell"] & (Record<string, never> | null))[][];
            x: {
                axis: string;
                length: number;
            };
            y: {
                axis: string;
                length: number;
            } | null;
        };
        SlotOverride: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            expires_at: string;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            made_at: string;
            made_by: string;
            reason: string;
            slots: number;
        } | null;
        Stats: {
            axis: components["schemas"]["StatsAxis"];
            baseline: number;
            by?: {
                axis: components["schemas"]["StatsAxis"];
                groups: {
                    label: string;
                    level: number;
                    levels: components["schemas"]["LevelStats"][];
                    warnings: components["schemas"]["StatsWarning"][];
                }[];
                /** @description Combinations ordered by q; those with q ≤ 0.05 are significant */
                interactions: {
                    by: number;
                    excess: number;
                    level: number;
                    p: number;
                    q: number;
                }[];
            };
            levels: components["schemas"]["LevelStats"][];
            method: string;
            revision: string;
            /** Format: uuid */
            task_id: string;
            unit: {
                axes: string[];
                /** @enum {string} */
                basis: "content" | "axes" | "repeats" | "nothing";
                units: number;
            };
            warnings: components["schemas"]["StatsWarning"][];
        };
        StatsAxis: {
            /** @example v0 */
            axis: string;
            name: string;
            /** @enum {string} */
            role: "treatment" | "content" | "replicate";
            type: string;
        };
        StatsWarning: {
            /** @example few_units */
            code: string;
            levels?: number[];
            text: string;
        };
        SystemStatus: {
            /** @description Dispatchable cells; each queue counts up to 1,000 */
            backlog: number;
            /** @enum {string} */
            database: "ok";
            /** @description Whether a worker is the leader */
            leader: boolean;
            /**
             * @description Without Redis, only logins fail. `unknown`: this process has no connection
             * @enum {string}
             */
            redis: "ok" | "away" | "unknown";
            running: number;
            schema: {
                name: string;
                step: number;
            } | null;
            /**
             * @description `degraded`: a part of the system is unavailable
             * @enum {string}
             */
            status: "ok" | "degraded";
            version: string;
            /** @description Workers with a heartbeat within the last 6 s */
            workers: number;
        };
        SystemWebhook: {
            arrived: number;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /** @description E-mail address; null for a deleted user */
            created_by: string | null;
            /** @description Of the last try of the newest delivery that has one */
            error: string | null;
            events: string[];
            given_up: number;
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            task_id: string;
            task_name: string;
            url: string;
            /** @description Deliveries that wait */
            waiting: number;
        };
        SystemWebhooks: {
            items: components["schemas"]["SystemWebhook"][];
            next: string | null;
        };
        Tagged: {
            items: components["schemas"]["CellTag"][];
            next: string | null;
        };
        Tags: {
            items: {
                cells: number;
                tag: string;
            }[];
            next: string | null;
        };
        Task: {
            blind: boolean;
            cells: {
                cancelled: number;
                completed: number;
                failed: number;
                /** @description Pending or processing */
                open: number;
                total: number;
            };
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            completed_at: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            error: string | null;
            /**
             * @description Why its cells are not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            hold_reason: string | null;
            /** Format: uuid */
            id: string;
            mine: boolean;
            name: string;
            /** @description Id of a migrated task in the old backend, which v1 shows; null if it is the same */
            old_id: string | null;
            /** @description E-mail address of the owner; null for requests with a share */
            owner: string | null;
            priority: number;
            /** @description Increases with each change */
            revision: number;
            /** @enum {string} */
            seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            started_at: string | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            updated_at: string;
        };
        /** @description After the merge, `seed` and `axis_roles` follow the rules of `TaskIn`. `seed` alone implies `pinned` */
        TaskCloneIn: {
            /** @description Role of each axis that has values. An axis without one counts as a treatment */
            axis_roles?: {
                /** @enum {string} */
                v0?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v1?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v2?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v3?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v4?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v5?: "treatment" | "content" | "replicate";
            };
            /** @description Hide others' ratings of an image until one has rated it */
            blind?: boolean;
            name?: string;
            /** @description Above 1 the task uses the queue `high`, which only admins and managers may request */
            priority?: number;
            /** @description Seed of the policy `pinned`, which no other policy takes. Together with the replicates it stays within the maximum */
            seed?: number;
            /**
             * @description Seeds of cells whose tags give none. `shared`: one seed for the task. `per_combination`: one for each combination of the content axes. `pinned`: the given `seed`. These policies add the number of the replicate. `per_cell`: a seed for each cell
             * @enum {string}
             */
            seed_policy?: "shared" | "per_combination" | "per_cell" | "pinned";
            settings?: {
                concurrency?: number | boolean;
            } & {
                [key: string]: unknown;
            };
            /** @description As in v1: `type`, and either `value` or `isVariable` with the `name` of a variable. A seed has at most 64 bits */
            tags?: {
                [key: string]: unknown;
            }[];
            /** @description `v0` to `v5`, each with `name` and `values`. Stored as given. A task has at most 50,000 cells */
            variables?: {
                v0?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v1?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v2?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v3?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v4?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v5?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
            };
        };
        TaskDetail: {
            /** @description Slowest first */
            axes: {
                /**
                 * @description `v0` to `v5`, or `batch` for repeats
                 * @example v0
                 */
                axis: string;
                length: number;
                name: string;
                /** @enum {string|null} */
                role: "treatment" | "content" | "replicate" | null;
                /** @description Types of the tags that use the variable */
                types: string[];
                /** @description Values as given; null for `batch` */
                values: unknown[] | null;
            }[];
            blind: boolean;
            /** @description Boxes of the matrix, each with its cells in row-major order: one, and one more for each extension of an axis. Null if cells do not fill the axes */
            blocks: {
                /** @description Number of the first cell */
                first: number;
                /** @description First index on each of `axes` */
                from: number[];
                lengths: number[];
            }[] | null;
            cells: {
                cancelled: number;
                completed: number;
                failed: number;
                /** @description Pending or processing */
                open: number;
                pending: number;
                processing: number;
                total: number;
            };
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            completed_at: string | null;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            error: string | null;
            /** @description Failed cells by cause, most frequent first, at most 50 causes */
            errors: {
                cause: string;
                cells: number;
            }[];
            /** @description Time until the last cell ends at the current rate; null without a rate and while the task is held */
            eta: {
                seconds_high: number | null;
                seconds_low: number;
            } | null;
            /**
             * @description Why its cells are not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            hold_reason: string | null;
            /** Format: uuid */
            id: string;
            mine: boolean;
            name: string;
            /** @description Id of a migrated task in the old backend, which v1 shows; null if it is the same */
            old_id: string | null;
            /** @description E-mail address of the owner; null for requests with a share */
            owner: string | null;
            priority: number;
            /** @description Null for a task that has not started or has ended */
            rate: {
                /** @description Cells that ended within the window */
                cells: number;
                per_minute: number;
                window_seconds: number;
            } | null;
            /** @description Increases with each change */
            revision: number;
            /** @enum {string} */
            seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            started_at: string | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            updated_at: string;
        };
        TaskIn: {
            /**
             * @description Role of each axis that has values. An axis without one counts as a treatment
             * @default {}
             */
            axis_roles?: {
                /** @enum {string} */
                v0?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v1?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v2?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v3?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v4?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v5?: "treatment" | "content" | "replicate";
            };
            /**
             * @description Hide others' ratings of an image until one has rated it
             * @default false
             */
            blind?: boolean;
            name: string;
            /**
             * @description Above 1 the task uses the queue `high`, which only admins and managers may request
             * @default 1
             */
            priority?: number;
            /** @description Seed of the policy `pinned`, which no other policy takes. Together with the replicates it stays within the maximum */
            seed?: number;
            /**
             * @description Seeds of cells whose tags give none. `shared`: one seed for the task. `per_combination`: one for each combination of the content axes. `pinned`: the given `seed`. These policies add the number of the replicate. `per_cell`: a seed for each cell
             * @default shared
             * @enum {string}
             */
            seed_policy?: "shared" | "per_combination" | "per_cell" | "pinned";
            /** @default {} */
            settings?: {
                concurrency?: number | boolean;
            } & {
                [key: string]: unknown;
            };
            /** @description As in v1: `type`, and either `value` or `isVariable` with the `name` of a variable. A seed has at most 64 bits */
            tags: {
                [key: string]: unknown;
            }[];
            /**
             * @description `v0` to `v5`, each with `name` and `values`. Stored as given. A task has at most 50,000 cells
             * @default {}
             */
            variables?: {
                v0?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v1?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v2?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v3?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v4?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v5?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
            };
        } & (unknown & unknown & unknown & unknown & unknown & unknown & unknown);
        TaskInput: {
            /** @description Role of each axis that has values. An axis without one counts as a treatment */
            axis_roles: {
                /** @enum {string} */
                v0?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v1?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v2?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v3?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v4?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v5?: "treatment" | "content" | "replicate";
            };
            /** @description Hide others' ratings of an image until one has rated it */
            blind: boolean;
            name: string;
            /** @description Above 1 the task uses the queue `high`, which only admins and managers may request */
            priority: number;
            /** @description Seed of the policy `pinned`, which no other policy takes. Together with the replicates it stays within the maximum */
            seed?: number;
            /**
             * @description Seeds of cells whose tags give none. `shared`: one seed for the task. `per_combination`: one for each combination of the content axes. `pinned`: the given `seed`. These policies add the number of the replicate. `per_cell`: a seed for each cell
             * @enum {string}
             */
            seed_policy: "shared" | "per_combination" | "per_cell" | "pinned";
            settings: {
                concurrency?: number | boolean;
            } & {
                [key: string]: unknown;
            };
            tags: unknown[];
            /** @description `v0` to `v5`, each with `name` and `values`, as given */
            variables: {
                [key: string]: unknown;
            };
        };
        /** @description Axes in `axis_roles` are variables of the task that have values */
        TaskPatch: {
            /** @description Role of each axis that has values. An axis without one counts as a treatment */
            axis_roles?: {
                /** @enum {string} */
                v0?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v1?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v2?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v3?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v4?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v5?: "treatment" | "content" | "replicate";
            };
            blind?: boolean;
            name?: string;
            /** @description Above 1 the task uses the queue `high`, which only admins and managers may request */
            priority?: number;
        };
        TaskPlan: {
            /** @description Number of cells. If it exceeds the limit, there is a warning */
            cells: number;
            /** @description Cells that request the same image as another cell of the task */
            duplicates: number;
            queues: {
                /** @description Cells of other tasks waiting in the queue; 20,000 stands for more */
                backlog: number;
                cells: number;
                /** @description Number of images that the estimate is based on */
                observed: number;
                /** @enum {string} */
                queue: "high" | "standard" | "lumina";
                /** @description Current number of images drawn at once */
                slots: number | null;
            }[];
            /** @description Cells whose image exists already. Seeds that are not drawn yet match no image */
            reusable: number;
            /** @description Time until the last image. `p50` assumes the recently reached number of slots. `p90` assumes the current number, and that waiting cells of other tasks are drawn first. Null without observations */
            seconds: {
                p50: number;
                p90: number;
            } | null;
            /** @description Most severe first */
            warnings: {
                axes: string[];
                /** @example seeds_confounded */
                code: string;
                message: string;
            }[];
        };
        TaskPlanIn: {
            /**
             * @description Role of each axis that has values. An axis without one counts as a treatment
             * @default {}
             */
            axis_roles?: {
                /** @enum {string} */
                v0?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v1?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v2?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v3?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v4?: "treatment" | "content" | "replicate";
                /** @enum {string} */
                v5?: "treatment" | "content" | "replicate";
            };
            /**
             * @description Hide others' ratings of an image until one has rated it
             * @default false
             */
            blind?: boolean;
            name?: string;
            /**
             * @description Above 1 the task uses the queue `high`, which only admins and managers may request
             * @default 1
             */
            priority?: number;
            /** @description Seed of the policy `pinned`, which no other policy takes. Together with the replicates it stays within the maximum */
            seed?: number;
            /**
             * @description Seeds of cells whose tags give none. `shared`: one seed for the task. `per_combination`: one for each combination of the content axes. `pinned`: the given `seed`. These policies add the number of the replicate. `per_cell`: a seed for each cell
             * @default shared
             * @enum {string}
             */
            seed_policy?: "shared" | "per_combination" | "per_cell" | "pinned";
            /** @default {} */
            settings?: {
                concurrency?: number | boolean;
            } & {
                [key: string]: unknown;
            };
            /** @description As in v1: `type`, and either `value` or `isVariable` with the `name` of a variable. A seed has at most 64 bits */
            tags: {
                [key: string]: unknown;
            }[];
            /**
             * @description `v0` to `v5`, each with `name` and `values`. Stored as given. A task has at most 50,000 cells
             * @default {}
             */
            variables?: {
                v0?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v1?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v2?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v3?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v4?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
                v5?: {
                    name?: unknown;
                    values?: unknown[] | null;
                } & {
                    [key: string]: unknown;
                };
            };
        } & (unknown & unknown & unknown & unknown & unknown & unknown & unknown);
        Tasks: {
            items: components["schemas"]["Task"][];
            next: string | null;
        };
        TaskState: {
            changed: boolean;
            /**
             * @description Why it is not drawn now
             * @enum {string|null}
             */
            hold: "import" | "pause" | "canary" | null;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
        };
        Tokens: {
            access_token: string;
            /** @description Remaining lifetime of the access token in seconds */
            expires_in: number;
            /** @description Valid for one renewal */
            refresh_token: string;
            /** Format: uuid */
            session_id: string;
            /** @enum {string} */
            token_type: "bearer";
        };
        Traffic: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            changed_at: string;
            changed_by: string;
            /** @description Newest first, at most 20 */
            changes: components["schemas"]["TrafficChange"][];
            hold_ends_in_ms: number | null;
            /** @enum {string} */
            phase: "old" | "shadow" | "canary" | "holding" | "new";
            /**
             * @description The phase to which `holding` returns by itself
             * @enum {string|null}
             */
            phase_before: "old" | "shadow" | "canary" | "holding" | "new" | null;
            /** @description API processes that stand before the old backend; none without LEGACY_API_URL */
            processes: components["schemas"]["FrontProcess"][];
            reason: string;
            /** @description Answers that were compared in the last hours */
            shadow: {
                compared: number;
                /** @description Causes `code` and `data` first, at most 100, since the start of the comparison */
                differences: components["schemas"]["ShadowDifference"][];
                equal: number;
                hours: number;
                /** @description Kinds of differences with the cause `code` or `data` */
                unexplained: number;
            };
            /** @description Percentage of users whose reads this system answers in phase `canary` */
            share: number;
            /** @description Raised by each change */
            version: number;
        };
        TrafficChange: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            at: string;
            changed_by: string;
            forced: boolean;
            /** @enum {string} */
            phase_after: "old" | "shadow" | "canary" | "holding" | "new";
            /** @enum {string} */
            phase_before: "old" | "shadow" | "canary" | "holding" | "new";
            reason: string;
            share_after: number;
            share_before: number;
            version: number;
        };
        TrafficPatch: {
            force?: boolean;
            /** @enum {string} */
            phase?: "old" | "shadow" | "canary" | "holding" | "new";
            reason: string;
            /** @description Only in phase `canary` */
            share?: number;
        };
        User: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            email: string;
            fullname: string | null;
            /** Format: uuid */
            id: string;
            is_active: boolean;
            /** @description Id in the old backend, which v1 shows; null for a user that was created here */
            old_id: string | null;
            roles: ("admin" | "manager" | "user" | "guest")[];
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            updated_at: string;
        };
        UserIn: {
            /**
             * Format: idn-email
             * @description Unique and compared exactly. The domain is converted to lower case
             */
            email: string;
            /** @default null */
            fullname?: string | null;
            /** @default true */
            is_active?: boolean;
            /**
             * Format: password
             * @description At most 72 bytes in UTF-8, neither common nor easy to guess here
             */
            password: string;
            /**
             * @default [
             *       "user"
             *     ]
             * @example [
             *       "user"
             *     ]
             */
            roles?: ("admin" | "manager" | "user" | "guest")[];
        };
        UserPatch: {
            /**
             * Format: idn-email
             * @description Unique and compared exactly. The domain is converted to lower case
             */
            email?: string;
            fullname?: string | null;
            is_active?: boolean;
            /**
             * Format: password
             * @description At most 72 bytes in UTF-8, neither common nor easy to guess here
             */
            password?: string;
            /**
             * @example [
             *       "user"
             *     ]
             */
            roles?: ("admin" | "manager" | "user" | "guest")[];
        };
        Users: {
            items: components["schemas"]["User"][];
            next: string | null;
        };
        Vote: {
            blind: boolean;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            id: string;
            left: {
                cell: number;
                version: number;
            };
            /** @enum {string} */
            outcome: "left" | "right" | "tie" | "skip";
            /** @description E-mail address; null for a share, for a deleted user, and for requests with a share */
            rater: string | null;
            /** Format: uuid */
            rater_id: string;
            right: {
                cell: number;
                version: number;
            };
            took_ms: number | null;
        };
        VoteIn: {
            /**
             * @description Whether the axes were hidden
             * @default false
             */
            blind?: boolean;
            left: {
                cell: number;
                version: number;
            };
            /**
             * @description Which image is better; `skip` if undecidable
             * @enum {string}
             */
            outcome: "left" | "right" | "tie" | "skip";
            /** @description Its `cell` is another one than that of `left` */
            right: {
                cell: number;
                version: number;
            };
            took_ms?: number;
        };
        Votes: {
            items: components["schemas"]["Vote"][];
            next: string | null;
        };
        Webhook: {
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            created_at: string;
            /** @description E-mail address; null for a deleted user */
            created_by: string | null;
            events: string[];
            /** Format: uuid */
            id: string;
            url: string;
        };
        WebhookIn: {
            /**
             * @default [
             *       "completed",
             *       "partial",
             *       "failed",
             *       "held"
             *     ]
             */
            events?: ("submitted" | "completed" | "partial" | "failed" | "held")[];
            /** @description Key of the signatures; generated by default */
            secret?: string;
            /** @description URL without user and fragment, on a host that the operator permits (WEBHOOK_HOSTS) */
            url: string;
        };
        Webhooks: {
            items: components["schemas"]["Webhook"][];
            next: string | null;
        };
        Worker: {
            alive: boolean;
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            heartbeat_at: string;
            host: string;
            id: string;
            pid: number;
            queues: ("high" | "standard" | "lumina")[];
            running: number;
            slots: {
                [key: string]: number;
            };
            /**
             * Format: date-time
             * @example 2025-05-13T07:40:46.622Z
             */
            started_at: string;
        };
        Workers: {
            items: components["schemas"]["Worker"][];
        };
    };
    responses: {
        /** @description The old backend is still in charge */
        before_cutover: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Busy, try again */
        busy: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Conflict with the current state */
        conflict: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not allowed */
        forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not JSON */
        invalid_json: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Invalid request */
        invalid_request: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Method not allowed */
        method_not_allowed: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not found */
        not_found: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Body too large */
        too_large: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Too many requests */
        too_many_requests: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Body came too slowly */
        too_slow: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not signed in */
        unauthenticated: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Unsupported media type */
        unsupported_media: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
