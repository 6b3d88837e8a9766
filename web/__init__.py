"""The web node that this repository deploys: Flask, the bridge's relay, and a page to try it.

__main__     the entry, `python -m web`: patches first, then serves
app          the factory, `create_app()`
settings     what is set by DEMO_* variables
catalog      the jobs that can be started, and their fields
fields       checks what somebody sends as a field
inputs       takes fields and files out of a request
uploads      keeps uploaded files until their job has read them
demo         starting jobs, fresh tokens for them
remembered   which jobs a browser started
pages        `GET /`
guard        refuses requests that another site makes; security headers
"""
