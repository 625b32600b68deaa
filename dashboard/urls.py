"""Addresses of the home page and of signing in and out."""

from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_not_required
from django.urls import path, reverse_lazy

from dashboard import views

accounts = [
    path(
        "accounts/sign-in/",
        auth.LoginView.as_view(template_name="accounts/sign_in.html", redirect_authenticated_user=True),
        name="sign_in",
    ),
    # Open to everybody: who is signed out already, by time, would be asked to sign in first.
    path("accounts/sign-out/", login_not_required(views.SignOutView.as_view()), name="sign_out"),
    path("accounts/preferences/", views.preferences, name="preferences"),
    path(
        "accounts/password/",
        auth.PasswordChangeView.as_view(
            template_name="accounts/password_change.html", extra_context={"section": "password"}
        ),
        name="password_change",
    ),
    path(
        "accounts/password/changed/",
        auth.PasswordChangeDoneView.as_view(
            template_name="accounts/password_changed.html", extra_context={"section": "password"}
        ),
        name="password_change_done",
    ),
    path(
        "accounts/password-reset/",
        auth.PasswordResetView.as_view(
            template_name="accounts/password_reset.html",
            email_template_name="accounts/password_reset_mail.txt",
            subject_template_name="accounts/password_reset_subject.txt",
        ),
        name="password_reset",
    ),
    path(
        "accounts/password-reset/sent/",
        auth.PasswordResetDoneView.as_view(template_name="accounts/password_reset_sent.html"),
        name="password_reset_done",
    ),
    path(
        "accounts/password-reset/<uidb64>/<token>/",
        auth.PasswordResetConfirmView.as_view(
            template_name="accounts/password_reset_confirm.html", success_url=reverse_lazy("password_reset_complete")
        ),
        name="password_reset_confirm",
    ),
    path(
        "accounts/password-reset/complete/",
        auth.PasswordResetCompleteView.as_view(template_name="accounts/password_reset_complete.html"),
        name="password_reset_complete",
    ),
]

urlpatterns = [
    path("", views.home, name="home"),
    *accounts,
]
