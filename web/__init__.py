"""The web node that this repository deploys: Flask, the bridge's relay, and pages to try it.

__main__     the entry, `python -m web`: patches first, then serves
app          the factory, `create_app()`
settings     what is set by DEMO_* variables
catalog      the jobs that can be started, and their fields
task_source  the source of their tasks, coloured
fields       checks what somebody sends as a field
inputs       takes fields and files out of a request
uploads      keeps uploaded files until their job has read them
demo         starting jobs, fresh tokens for them
accounts     the demo's two users and its admin
identity     who uses a browser: an account or a guest; what their session allows
sign_in      `/sign-in`, `/sign-out`
pages        `GET /`
dashboard    `GET /jobs`: `summaries` of jobs, their `throughput`
job_page     `GET /jobs/<job>`: its `timeline`, its `workflow`
playground   `GET /playground`: the widget's markup and style sheet, to be changed and seen at once
sound        records as pages can rely on them
figures      figures as people read them
refusals     saying no, to people and to scripts
guard        refuses requests that another site makes; security headers
"""
