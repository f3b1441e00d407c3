// The documentation of the API. A file of its own: the content security policy lets no script stand in a page.
"use strict";

(function () {
  const place = document.getElementById("swagger-ui");
  let token = null;

  // with the cookie of a session, every change needs the token that only our own pages can read
  fetch(place.dataset.session, { credentials: "same-origin" })
    .then((answer) => answer.json())
    .then((session) => { token = session.csrf_token; })
    .catch(() => {});

  // validatorUrl: Swagger UI would otherwise ask a server on the internet for a badge
  SwaggerUIBundle({
    url: place.dataset.openapi,
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (token && request.method && !["GET", "HEAD"].includes(request.method)) {
        request.headers["X-CSRF-Token"] = token;
      }
      return request;
    },
  });
})();
